package protection

import (
	"context"
	"testing"
	"time"
)

// The ticket is on disk by then.
func TestTicketJWTIsSignedAfterTheRequestHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.service.TicketJWT(ctx, w.Snap, "the-ticket", time.Second); err != nil {
		t.Error(err)
	}
}

// A ticket that has to wait is good for longer by that, in JWT form too.
func TestTicketJWTLivesLongerByItsInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, interval := range []time.Duration{0, 5 * time.Second} {
		if _, err := w.service.TicketJWT(t.Context(), w.Snap, "the-ticket", interval); err != nil {
			t.Fatal(err)
		}
		got := w.Signed[len(w.Signed)-1]
		if want := w.Now.Add(2*time.Minute + interval).Unix(); got.Expires != want || got.Handle != "the-ticket" {
			t.Errorf("after %s: got expiry %d, want %d", interval, got.Expires, want)
		}
	}
}
