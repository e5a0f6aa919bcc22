// Package sets has set operations on lists, which keep their order. They stay fast for
// lists of hundreds of values, which clients may send.
package sets
