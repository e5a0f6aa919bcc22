package account

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// asks sets the pending requests for the album of alice: "ID REQUESTER SCOPE" each.
func (w *world) asks(requests ...string) {
	w.View.Requests = nil
	for i, text := range requests {
		f := append(strings.Fields(text), "")
		w.View.Requests = append(w.View.Requests, uma.Request{
			Key: uma.Key(i + 1), ID: f[0], Server: 10, Resource: 103, ResourceID: "r-album", Owner: "u-alice", Requester: f[1], Scope: uma.Scope(f[2]),
			State: uma.Pending, Created: w.Now.Add(time.Duration(-i) * time.Minute),
		})
	}
}

// states are those of all requests, in the order they were added in.
func (w *world) states() string {
	var out []string
	for _, q := range w.View.Requests {
		out = append(out, q.ID+" "+q.State)
	}
	return strings.Join(out, ", ")
}

// The requests of one user for one resource are one pending request, also if they are on
// different pages.
func TestPendingRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asks("f u-bob view", "a u-bob comment", "b u-carol view", "e u-dave view", "c u-dave comment", "d u-erin view")
	for _, size := range []int{1, 2, 3, 10} {
		var got []string
		for after := ""; ; {
			page, err := w.service.PendingRequests(t.Context(), w.owner("alice"), after, size)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				first, _, _ := strings.Cut(p.ID, ".")
				got = append(got, fmt.Sprintf("%s %s %v %d", first, p.User.ID, p.Scopes, w.Now.Sub(p.When)/time.Minute))
			}
			if len(page) < size {
				break
			}
			after = page[len(page)-1].ID
		}
		want := []string{"a u-bob [comment view] 1", "b u-carol [view] 2", "c u-dave [comment view] 4", "d u-erin [view] 5"}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: got %q, want %q", size, got, want)
		}
	}
	if got, err := w.service.PendingRequests(t.Context(), w.owner("bob"), "", 10); err != nil || len(got) > 0 {
		t.Errorf("who owns nothing: got %v %v", got, err)
	}
	var mine []string
	err := w.service.RequestsBy(t.Context(), w.owner("bob"), func(r *SharedResource) error {
		mine = append(mine, fmt.Sprint(r.Name, r.Client.ID, r.Users[0].User.Username, r.Users[0].Scopes()))
		return nil
	})
	if want := []string{"Album photoz-api alice [comment]", "Album photoz-api alice [view]"}; err != nil || len(mine) != len(want) {
		t.Errorf("by bob: got %q %v, want %q", mine, err, want)
	}
}
