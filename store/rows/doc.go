// Package rows has what the drivers of package store share of the form in which rows are
// stored: texts of columns, what rows are found by, how large they are, and comparisons that SQL
// does not make. Nothing in it knows a database.
package rows
