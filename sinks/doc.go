// Package sinks delivers decision records to where they are wanted: the decision log of the
// server (a file, or stdout) and the OPA services of realms. Each sink follows the records
// in the database by a cursor of its own, in a goroutine of its own, and delivers each
// record at least once. It is not on the path of any request.
package sinks
