// Package account is what owners do: they list their resources, share them, approve and
// deny requests, and take shares back.
package account
