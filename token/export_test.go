package token

import (
	"context"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// Occupy takes the Hasher's one place and keeps it until it is left.
func Occupy(h *Hasher) (leave func()) {
	if err := h.slow.enter(context.Background(), uma.Attempt{}); err != nil {
		panic(err)
	}
	return h.slow.leave
}

// Wait is a request that waits for the Hasher's one place, and leaves it once it
// has had it.
func Wait(ctx context.Context, h *Hasher, from uma.Attempt, had func()) error {
	err := h.slow.enter(ctx, from)
	if err == nil {
		had()
		h.slow.leave()
	}
	return err
}

// Forget replaces the cache of verified tokens by an empty one of that size.
func Forget(k *Keys, size int) { k.verified = recent.New[verifiedID, *uma.Claims](size) }

// Remembered is how many verified tokens are in the cache.
func Remembered(k *Keys) int { return k.verified.Len() }

const (
	MaxToken  = maxToken
	MaxCached = maxCached
)
