// Package copier copies a whole database from one driver of package store to another, and
// compares two databases row by row. It has the list of all tables in a form that the drivers
// share; each driver reads and writes rows of that form.
package copier
