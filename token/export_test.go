package token

import "example.com/umpire/uma"

// Occupy takes the Hasher's one place and keeps it.
func Occupy(h *Hasher) { h.slow <- struct{}{} }

// Forget empties the cache of verified tokens.
func Forget(k *Keys) { k.verified = newCache[verifiedID, *uma.Claims](maxVerified) }

// Remembered is how many verified tokens are in the cache.
func Remembered(k *Keys) int { return len(k.verified.young) + len(k.verified.old) }

const (
	MaxToken    = maxToken
	MaxCached   = maxCached
	MaxVerified = maxVerified
)
