package account

import (
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// An owner's invitations are read in pages, each with the resources and users of all of them.
func TestInvitationsBy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.View.Invited = []uma.Invitation{
		{ID: "1", Resource: 103, ResourceID: "r-album", Server: 10, Owner: "u-alice", Email: "a@corp.example", Scopes: umatest.ScopesOf("view")},
		{ID: "2", Resource: 103, ResourceID: "r-album", Server: 10, Owner: "u-alice", Email: "b@corp.example", TakenBy: "u-bob", Taken: w.Now},
		{ID: "3", Resource: 103, ResourceID: "r-album", Server: 10, Owner: "u-alice", Email: "c@corp.example", TakenBy: "u-gone", Taken: w.Now},
		{ID: "4", Resource: 103, ResourceID: "r-album", Server: 10, Owner: "u-bob", Email: "d@corp.example"},
	}
	var got []InvitedAddress
	err := w.service.InvitationsBy(t.Context(), w.owner("alice"), func(v *InvitedAddress) error {
		got = append(got, *v)
		return nil
	})
	if err != nil || len(got) != 3 {
		t.Fatalf("got %+v, %v, want 3", got, err)
	}
	for i, want := range []string{"", "bob", ""} {
		if got[i].Name != "Album" || (got[i].Taker == nil) != (i == 0) || i > 0 && got[i].Taker.Username != want {
			t.Errorf("%d: got %+v, want taken by %q", i, got[i], want)
		}
	}
	if len(w.View.Reads) > 4 {
		t.Errorf("three invitations took the reads %q", w.View.Reads)
	}
}

// Each error of the store in the words of the room.
func TestWithdrawInvitation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.View.Invited = []uma.Invitation{{ID: "open", Owner: "u-alice"}, {ID: "taken", Owner: "u-alice", TakenBy: "u-bob"}}
	for id, want := range map[string]uma.Reason{"taken": uma.NotFound, "": uma.NotFound, "another": uma.NotFound} {
		if err := w.service.WithdrawInvitation(t.Context(), w.owner("alice"), id); umatest.Reason(err) != want {
			t.Errorf("%q: got %v, want %s", id, err, want)
		}
	}
	if err := w.service.WithdrawInvitation(t.Context(), w.owner("bob"), "open"); umatest.Reason(err) != uma.NotFound {
		t.Errorf("by another: got %v", err)
	}
	if err := w.service.WithdrawInvitation(t.Context(), w.owner("alice"), "open"); err != nil || len(w.View.Invited) != 1 {
		t.Errorf("got %v and %+v left", err, w.View.Invited)
	}
}
