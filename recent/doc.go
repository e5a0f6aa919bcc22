// Package recent keeps the values that were used last, as many, or as many bytes of them, as
// its owner says.
package recent
