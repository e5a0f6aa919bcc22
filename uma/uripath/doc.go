// Package uripath has the URIs of resources: which may be registered, the normal form of
// a look-up, which pattern matches a URI, and which of several matches it best. It reads
// nothing.
package uripath
