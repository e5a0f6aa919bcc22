package protection

import (
	"slices"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// A list is read page by page, and shows users by name; one who is gone has none.
func TestFindPolicies(t *testing.T) {
	t.Parallel()
	w, _ := newPolicyWorld(t)
	w.View.Shares = nil
	for i := range policyPage + 10 {
		w.View.Shares = append(w.View.Shares, uma.Share{
			ID: "p", Kind: uma.ByPolicy, Name: string(rune('!'+i/60)) + string(rune('!'+i%60)), Owner: "u-alice", Users: []string{"u-bob", "u-gone"},
		})
	}
	for _, tc := range []struct{ first, most, want, pages int }{
		{0, -1, 60, 2}, {0, 10, 10, 1}, {55, 100, 5, 1}, {5, 55, 55, 2}, {100, -1, 0, 1}, {0, 0, 0, 0},
	} {
		w.View.Reads = nil
		seen := map[string]bool{}
		err := w.service.FindPolicies(t.Context(), w.alice(), &uma.UserPolicyFilter{}, tc.first, tc.most, func(v *PolicyView) error {
			seen[v.Name] = true
			if !slices.Equal(v.Usernames, []string{"bob"}) {
				t.Errorf("got users %q", v.Usernames)
			}
			return nil
		})
		pages := 0
		for _, read := range w.View.Reads {
			if read == "FindShares" {
				pages++
			}
		}
		if err != nil || len(seen) != tc.want || pages != tc.pages || len(w.View.Reads) > 2*tc.pages {
			t.Errorf("from %d, %d of them: got %d on %d pages by %q, %v, want %d on %d", tc.first, tc.most, len(seen), pages, w.View.Reads, err, tc.want, tc.pages)
		}
	}
}

// A search is narrowed to what the caller owns and the resource server knows.
func TestPolicyFilter(t *testing.T) {
	t.Parallel()
	w, _ := newPolicyWorld(t)
	tests := []struct {
		query PolicyQuery
		want  uma.UserPolicyFilter
		found bool
	}{
		{PolicyQuery{}, uma.UserPolicyFilter{}, true},
		{PolicyQuery{Name: "x", Resource: "r-album", Scope: "view"}, uma.UserPolicyFilter{Name: "x", Resource: "r-album", Scope: "view"}, true},
		{PolicyQuery{Resource: "Album"}, uma.UserPolicyFilter{Resource: "r-album"}, true},
		{PolicyQuery{Resource: "r-board"}, uma.UserPolicyFilter{}, false},
		{PolicyQuery{Resource: "Board"}, uma.UserPolicyFilter{}, false},
		{PolicyQuery{Resource: "ghost"}, uma.UserPolicyFilter{}, false},
		{PolicyQuery{Scope: "fly"}, uma.UserPolicyFilter{}, false},
	}
	for _, tc := range tests {
		f, err := w.service.PolicyFilter(t.Context(), w.alice(), &tc.query)
		if tc.found && (err != nil || *f != tc.want) || !tc.found && umatest.Reason(err) != uma.NotFound {
			t.Errorf("%+v: got %+v, %v, want %+v, found %t", tc.query, f, err, tc.want, tc.found)
		}
	}
}
