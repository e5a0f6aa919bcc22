package sqlite

import (
	"fmt"
	"testing"

	"example.com/umpire/uma"
)

// A part that more names have than the index for parts is asked for finds them
// all, in order.
func TestPartsOfManyNames(t *testing.T) {
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
