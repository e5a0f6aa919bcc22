// Package audit answers questions about recorded decisions: what another policy would have
// decided. It reads decision log events, from the database or from a file, and has them
// evaluated again by a uma.Replayer. It also asks who may do what in a realm as it is stored
// (access.go, reach.go). It changes nothing.
package audit
