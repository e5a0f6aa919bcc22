// Package lookup finds resources by name and by URI, for the grant and the protection API
// alike: both must find the same resources. Package uripath ranks the URIs.
package lookup
