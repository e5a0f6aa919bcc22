package postgres

import (
	"fmt"
	"sync"
	"testing"

	"example.com/umpire/uma"
)

// Resources of one type and with URIs of one shape, that are registered, changed and removed at
// the same time, are all counted.
func TestUsesAreCounted(t *testing.T) {
	t.Parallel()
	s, server, _ := shelves(t, 106, nil)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			ids := func() string { return fmt.Sprint("id-", i) }
			r := &uma.Resource{ID: uma.ResourceID(fmt.Sprint("r", i)), Server: server, Owner: "api-uuid", Name: fmt.Sprint("R", i), Type: "a",
				Scopes: []uma.Scope{"view"}, URIs: []string{"/a/{id}", "/b/{id}/c"}, Origin: uma.FromAPI}
			if err := s.CreateResource(t.Context(), r, ids); err != nil {
				t.Error(err)
			}
			for n := range 4 {
				next := *r
				next.Type = string("ba"[n%2])
				if n%2 == 0 {
					next.URIs = []string{"/x/{id}/y/z", "/b/{id}/c"}
				}
				if err := s.ReplaceResource(t.Context(), &next, ids); err != nil {
					t.Error(err)
				}
			}
			if i >= 2 {
				if err := s.DeleteResource(t.Context(), server, r.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	err := s.read(t.Context(), func(c *conn) error {
		for query, want := range map[string]string{
			`SELECT coalesce(string_agg(type || ' ' || uses, ','), '') FROM type_scope WHERE server = $1 AND type IN ('a', 'b')`: "a 2",
			`SELECT coalesce(string_agg(uses::text, ','), '') FROM uri_shape WHERE server = $1`:                                  "2,2",
			`SELECT count(*)::text FROM uri_pattern WHERE server = $1 AND uri <> '/album'`:                                       "4",
			`SELECT count(*)::text FROM resource_uri WHERE server = $1 AND uri <> '/album'`:                                      "4",
		} {
			got, err := texts[string](c, query, server)
			if err != nil {
				return err
			}
			if got[0] != want {
				t.Errorf("%s: got %q, want %q", query, got[0], want)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
