package uma

import (
	"slices"
	"testing"
)

// A list is read page by page, and shows users by name; one who is gone has none.
func TestFindShares(t *testing.T) {
	t.Parallel()
	w, _ := newShareWorld(t)
	w.view.shares = nil
	for i := range policyPage + 10 {
		w.view.shares = append(w.view.shares, Share{
			ID: "p", Kind: ByPolicy, Name: string(rune('!'+i/60)) + string(rune('!'+i%60)), Owner: "u-alice", Users: []string{"u-bob", "u-gone"},
		})
	}
	for _, tc := range []struct{ first, most, want, pages int }{
		{0, -1, 60, 2}, {0, 10, 10, 1}, {55, 100, 5, 1}, {5, 55, 55, 2}, {100, -1, 0, 1}, {0, 0, 0, 0},
	} {
		w.view.reads = nil
		seen := map[string]bool{}
		err := w.authority.FindShares(t.Context(), w.alice(), &UserPolicyFilter{}, tc.first, tc.most, func(v *ShareView) error {
			seen[v.Name] = true
			if !slices.Equal(v.Usernames, []string{"bob"}) {
				t.Errorf("got users %q", v.Usernames)
			}
			return nil
		})
		pages := 0
		for _, read := range w.view.reads {
			if read == "FindShares" {
				pages++
			}
		}
		if err != nil || len(seen) != tc.want || pages != tc.pages || len(w.view.reads) > 2*tc.pages {
			t.Errorf("from %d, %d of them: got %d on %d pages by %q, %v, want %d on %d", tc.first, tc.most, len(seen), pages, w.view.reads, err, tc.want, tc.pages)
		}
	}
}

// A search is narrowed to what the caller owns and the resource server knows.
func TestShareFilter(t *testing.T) {
	t.Parallel()
	w, _ := newShareWorld(t)
	tests := []struct {
		query UserPolicyQuery
		want  UserPolicyFilter
		found bool
	}{
		{UserPolicyQuery{}, UserPolicyFilter{}, true},
		{UserPolicyQuery{Name: "x", Resource: "r-album", Scope: "view"}, UserPolicyFilter{Name: "x", Resource: "r-album", Scope: "view"}, true},
		{UserPolicyQuery{Resource: "Album"}, UserPolicyFilter{Resource: "r-album"}, true},
		{UserPolicyQuery{Resource: "r-board"}, UserPolicyFilter{}, false},
		{UserPolicyQuery{Resource: "Board"}, UserPolicyFilter{}, false},
		{UserPolicyQuery{Resource: "ghost"}, UserPolicyFilter{}, false},
		{UserPolicyQuery{Scope: "fly"}, UserPolicyFilter{}, false},
	}
	for _, tc := range tests {
		f, err := w.authority.UserPolicyFilter(t.Context(), w.alice(), &tc.query)
		if tc.found && (err != nil || *f != tc.want) || !tc.found && reason(err) != NotFound {
			t.Errorf("%+v: got %+v, %v, want %+v, found %t", tc.query, f, err, tc.want, tc.found)
		}
	}
}
