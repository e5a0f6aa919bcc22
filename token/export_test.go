package token

import "example.com/umpire/uma"

// Occupy takes the Hasher's one place and keeps it.
func Occupy(h *Hasher) { h.slow <- struct{}{} }

// Forget replaces the cache of verified tokens by an empty one of that size.
func Forget(k *Keys, size int) { k.verified = newCache[verifiedID, *uma.Claims](size) }

// Remembered is how many verified tokens are in the cache.
func Remembered(k *Keys) int { return len(k.verified.young) + len(k.verified.old) }

const (
	MaxToken  = maxToken
	MaxCached = maxCached
)
