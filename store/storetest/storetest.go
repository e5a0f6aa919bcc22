// Package storetest holds the promises of uma.Store as tests, which every driver
// runs. A promise that is not tested here is not one.
package storetest

import (
	"testing"

	"example.com/umpire/uma"
)

// Run tests the stores that open returns: a new and empty one at each call, closed
// when its test ends.
func Run(t *testing.T, open func(t *testing.T) uma.Store) {
	open(t)
}
