// Package sqlite keeps an uma.Store in one SQLite file. It owns the schema, the
// one writer that batches commits and the pool of readers; what the rows mean is
// the business of package uma, and what is promised of them is tested by
// store/storetest.
package sqlite
