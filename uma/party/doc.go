// Package party knows who somebody is: whom a token or a client speaks for, sign-in and
// refresh, what of an RPT is still valid, introspection, revocation and logout. Trusted
// issuers and login belong here.
package party
