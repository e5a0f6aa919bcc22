// Package recent keeps the values that were used last, as many as its owner says.
package recent
