package token_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"example.com/umpire/token"
	"example.com/umpire/uma"
)

// attempts wait one after another for a Hasher that is busy. They are named in the
// order in which they had their turn; those who were told to come again are not.
func attempts(t *testing.T, from ...uma.Attempt) (order []uma.Attempt, busy int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t)
		leave := token.Occupy(h)
		var mu sync.Mutex
		for _, a := range from {
			go func() {
				err := token.Wait(t.Context(), h, a, func() {
					mu.Lock()
					order = append(order, a)
					mu.Unlock()
				})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, uma.ErrBusy):
					busy++
				case err != nil:
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		if got := h.Waiting(); got != len(from)-busy {
			t.Errorf("got %d waiting, want %d", got, len(from)-busy)
		}
		leave()
		synctest.Wait()
		if got := h.Waiting(); got != 0 {
			t.Errorf("got %d waiting in the end", got)
		}
	})
	return order, busy
}

// guesses are attempts at the passwords of as many users from one address.
func guesses(n, users int, address string) []uma.Attempt {
	var all []uma.Attempt
	for i := range n {
		all = append(all, uma.Attempt{User: fmt.Sprintf("user %d", i%users), Address: address})
	}
	return all
}

// TestGuessesKeepNobodyWaiting: a user who signs in while others guess waits for one of
// their checks at most; at their own address, for one check of each user.
func TestGuessesKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	alice := uma.Attempt{User: "alice", Address: "198.51.100.1"}
	tests := []struct {
		name    string
		guesses []uma.Attempt
		alice   uma.Attempt
		want    int // how many are served before her
	}{
		{"one user from one address", guesses(8, 1, "203.0.113.9"), alice, 1},
		{"one user from her address", guesses(8, 1, alice.Address), alice, 1},
		{"many users from another address", guesses(16, 16, "203.0.113.9"), alice, 1},
		{"her own name from another address", []uma.Attempt{{User: "alice", Address: "203.0.113.9"}, {User: "alice", Address: "203.0.113.9"}}, alice, 1},
		{"many users from her address, where she is known", guesses(16, 16, alice.Address), uma.Attempt{User: "alice", Address: alice.Address, Known: true}, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			order, busy := attempts(t, append(tc.guesses, tc.alice)...)
			if got := slices.Index(order, tc.alice); busy != 0 || got < 0 || got > tc.want {
				t.Errorf("she was served as number %d, want %d at most (%d were sent away)", got, tc.want, busy)
			}
		})
	}
}

// TestQueueIsBounded: no user, no address and not all together fill the queue.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	var many []uma.Attempt
	for i := range 50 {
		many = append(many, uma.Attempt{User: fmt.Sprintf("u%d", i), Address: fmt.Sprintf("a%d", i)})
	}
	tests := []struct {
		name string
		from []uma.Attempt
		want int
	}{
		{"one user", guesses(50, 1, "x"), 8},
		{"one address", guesses(50, 50, "x"), 16},
		{"all", many, 32},
		{"strangers leave room for those who are known", append(slices.Clone(many), uma.Attempt{User: "alice", Known: true}), 33},
	}
	for _, tc := range tests {
		if order, busy := attempts(t, tc.from...); len(order) != tc.want || busy != len(tc.from)-tc.want {
			t.Errorf("%s: got %d served and %d sent away, want %d served", tc.name, len(order), busy, tc.want)
		}
	}
}

// TestWhoGivesUpPassesItsTurnOn: a waiter that gives up leaves its place to the next.
func TestWhoGivesUpPassesItsTurnOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t)
		leave := token.Occupy(h)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			if err := token.Wait(ctx, h, uma.Attempt{}, func() {}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}()
		served := false
		synctest.Wait()
		go func() {
			if err := token.Wait(t.Context(), h, uma.Attempt{}, func() { served = true }); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		leave()
		synctest.Wait()
		if !served {
			t.Error("the second was never served")
		}
	})
}
