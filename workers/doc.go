// Package workers is the pool of goroutines that compute: one for each CPU. It imports
// the standard library only.
package workers
