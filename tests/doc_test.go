// Package tests drives a whole Umpire over HTTP: a real socket, a real SQLite
// file, real Rego. It knows what the server says and does, and nothing of how;
// only start_test.go sees the server's parts.
package tests
