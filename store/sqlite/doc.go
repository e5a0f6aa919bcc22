// Package sqlite implements uma.Store in one SQLite file. It owns the schema, the one
// writer, which batches commits, and the pool of readers. Package uma says what the
// rows mean; store/storetest tests what uma.Store promises.
package sqlite
