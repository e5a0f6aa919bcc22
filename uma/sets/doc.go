// Package sets has the set operations on lists that keep their order. What clients send
// is compared in lists of hundreds, many times in a request.
package sets
