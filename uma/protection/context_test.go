package protection

import (
	"context"
	"errors"
	"testing"
	"time"

	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// If the request ends before a PAT could be checked, the caller is not told that it is bad.
func TestRequestEndsBeforeAPATIsChecked(t *testing.T) {
	t.Parallel()
	w := newFullWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.service.PAT(ctx, w.Snap, &party.Caller{HasBearer: true, Bearer: "access.of.bob"}, WithScope)
	if !errors.Is(err, context.Canceled) || umatest.Reason(err) != "" {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

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
