// Package postgres keeps the storage roles of package uma in a PostgreSQL database, which any
// number of servers may share.
package postgres
