// Package phc reads and writes hashes of passwords in the PHC string format, of the one
// algorithm argon2id, and bounds their parameters. It hashes nothing.
package phc
