package sqlite

import (
	"fmt"
	"testing"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A part of more names than maxPartHits is found in all of them, in order.
func TestPartOfManyNames(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	const many = maxPartHits + 100
	c := &uma.RealmChange{
		Realm:   uma.Realm{Name: "photoz"},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid"}},
	}
	for i := range many {
		c.Resources = append(c.Resources, uma.ResourceChange{ServerID: "api", Resource: uma.Resource{
			ID: uma.ResourceID(fmt.Sprint("r", i)), Name: fmt.Sprintf("Album %05d", many-i), Type: fmt.Sprint("type ", i%2),
		}})
	}
	if _, err := s.ApplyRealm(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		filter uma.ResourceFilter
		want   int
	}{
		{uma.ResourceFilter{Name: "album"}, many},
		{uma.ResourceFilter{Type: "type"}, many},
		{uma.ResourceFilter{Name: "album", Type: "e 1"}, many / 2},
		{uma.ResourceFilter{Name: "00001"}, 1},
	} {
		n, last := 0, ""
		err := s.FindResources(t.Context(), 1, tc.filter, 0, -1, func(r *uma.Resource) error {
			if r.Name <= last {
				t.Errorf("%+v: %s comes after %s", tc.filter, r.Name, last)
			}
			n, last = n+1, r.Name
			return nil
		})
		if err != nil || n != tc.want {
			t.Errorf("%+v: got %d and error %v, want %d", tc.filter, n, err, tc.want)
		}
	}
}

// Shares are deleted with their resource by a cascade; so are their rows in share_part.
func TestPartsOfNamesFollowShares(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	server := smallRealm(t, s).Clients["api"].Key
	r := &uma.Resource{ID: "r", Server: server, Owner: "alice-id", Name: "Album"}
	sh := &uma.Share{ID: "s", Name: "Friends", Server: server, Owner: "alice-id", Users: []string{"bob"}, Strategy: rows.Unanimous}
	named := func(part string, server uma.Key) (n int) {
		err := s.read(t.Context(), func(c *conn) error {
			keys, err := sharesNamed(c, server, part)
			n = len(keys)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, step := range []struct {
		do      func() error
		friends int
		family  int
	}{
		{func() error { return s.CreateResource(t.Context(), r, nil) }, 0, 0},
		{func() error { sh.Resource = r.Key; return s.CreateShare(t.Context(), sh) }, 1, 0},
		{func() error { sh.Users = []string{"carol"}; return s.ReplaceShare(t.Context(), sh) }, 1, 0},
		{func() error { sh.Name = "Family"; return s.ReplaceShare(t.Context(), sh) }, 0, 1},
		{func() error { return s.DeleteResource(t.Context(), server, "r") }, 0, 0},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if friends, family := named("iend", server), named("fam", server); friends != step.friends || family != step.family {
			t.Errorf("got %d and %d, want %d and %d", friends, family, step.friends, step.family)
		}
		if named("fam", server+1) > 0 {
			t.Error("found at another server")
		}
	}
}
