// Package rows has what the drivers of package store share of the form in which rows are
// stored: texts of columns, what rows are found by, and how large they are. Nothing in it knows
// a database.
package rows
