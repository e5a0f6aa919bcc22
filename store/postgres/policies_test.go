package postgres

import (
	"slices"
	"testing"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// The size of a policy is that of its record, also after statements that change it in the database.
func TestSizesOfPoliciesFollow(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	server := smallRealm(t, s).Clients["api"].Key
	resource := func(owner, name string) *uma.Resource {
		r := &uma.Resource{ID: uma.ResourceID("r-" + owner), Server: server, Owner: owner, Name: name, OwnerManaged: true,
			Origin: uma.FromAPI, Scopes: []uma.Scope{"view", `"<é>"`, "delete"}}
		if err := s.CreateResource(t.Context(), r, newIDs("scope-"+owner)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r, theirs := resource("alice-id", "Album"), resource("bob-id", "Theirs")
	add := func(r *uma.Resource, id, name string, scopes ...uma.Scope) {
		sh := &uma.Share{ID: id, Name: name, Server: server, Resource: r.Key, Owner: r.Owner, Scopes: scopes,
			Users: []string{"carol"}, Roles: []string{`a "role"`}, Strategy: rows.Affirmative}
		if err := s.CreateShare(t.Context(), sh); err != nil {
			t.Fatal(err)
		}
	}
	add(r, "1", "one", "view", `"<é>"`, "delete")
	add(r, "2", "two", `"<é>"`)
	add(r, "3", "same", "delete", "view")
	add(theirs, "4", "same", "view")
	check := func(what string, want ...string) {
		t.Helper()
		var left []string
		err := s.read(t.Context(), func(c *conn) error {
			return c.rows(`SELECT`+shareColumns+`, s.size FROM share s ORDER BY s.key`, nil, func(scan scanFunc) error {
				sh, size := &uma.Share{}, 0
				if err := scan(append(shareFields(sh), &size)...); err != nil {
					return err
				}
				if size != rows.ShareSize(sh) {
					t.Errorf("%s: policy %s has size %d, want %d", what, sh.ID, size, rows.ShareSize(sh))
				}
				left = append(left, sh.Owner+" "+sh.Name)
				return nil
			})
		})
		if err != nil || !slices.Equal(left, want) {
			t.Errorf("%s: got %q and error %v, want %q", what, left, err, want)
		}
	}
	check("made", "alice-id one", "alice-id two", "alice-id same", "bob-id same")
	next := *r
	next.Scopes = []uma.Scope{"delete", "print"}
	if err := s.ReplaceResource(t.Context(), &next, newIDs("print")); err != nil {
		t.Fatal(err)
	}
	check("scopes are lost", "alice-id one", "alice-id same", "bob-id same")
	old := next
	next.Owner = "bob-id"
	run(t, s, adjustShares(&old, &next)...)
	check("another owner", "bob-id one", "bob-id same 3", "bob-id same")
}
