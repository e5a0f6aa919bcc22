// Package lookup finds resources as requests name them, by name or by URI: the grant and
// the protection API must find the same.
package lookup
