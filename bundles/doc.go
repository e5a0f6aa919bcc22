// Package bundles reads policy folders, runs the tests in them and watches them.
//
// It knows OPA's format: where files may be, what data files are called, how
// tests are named. It knows nothing of UMA: which packages a realm may define
// and what is compiled beside them is package engine's.
package bundles
