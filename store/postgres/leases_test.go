package postgres

import (
	"testing"
	"time"
)

// Servers whose clocks differ by a day agree on who has a lease.
func TestLeasesEndByTheClockOfTheDatabase(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	clock := func(ahead time.Duration) Config {
		return Config{URL: url, Now: func() time.Time { return time.Now().Add(ahead) }}
	}
	slow, fast := open(t, clock(-24*time.Hour)), open(t, clock(24*time.Hour))
	for _, take := range []struct {
		s      *Store
		holder string
		length time.Duration
		want   bool
	}{
		{slow, "slow", time.Minute, true},
		{fast, "fast", time.Minute, false},
		{slow, "slow", 0, true},
		{fast, "fast", time.Minute, true},
		{slow, "slow", time.Minute, false},
		{fast, "fast", 0, true},
		{slow, "slow", time.Minute, true},
	} {
		held, err := take.s.TakeLease(t.Context(), "work", take.holder, take.length)
		if err != nil || held != take.want {
			t.Errorf("%s for %s: got %t, %v; want %t", take.holder, take.length, held, err, take.want)
		}
	}
}
