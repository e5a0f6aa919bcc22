// Package bundles reads policy folders and bundle files, runs the tests in them and watches
// them.
//
// It knows OPA's format: where files may be, the names of data files and of tests. It knows
// nothing of UMA: package engine checks which packages a realm may define, and adds the
// library.
package bundles
