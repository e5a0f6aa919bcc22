package protection

import (
	"context"
	"fmt"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// A manyStore has n resources.
type manyStore struct {
	umatest.FakeStore
	n int
}

func (s manyStore) FindResources(_ context.Context, _ uma.Key, _ uma.ResourceFilter, _, _ int, each func(*uma.Resource) error) error {
	for i := range s.n {
		if err := each(&uma.Resource{ID: uma.ResourceID(fmt.Sprint("r-", i)), Owner: "u-alice", Scopes: umatest.ScopesOf("view")}); err != nil {
			return err
		}
	}
	return nil
}

// Owners' names are read by the page and not by the resource, and nothing is shown
// while a view is open: there are few, and who reads may take long.
func TestDescribedPageByPage(t *testing.T) {
	t.Parallel()
	for n, pages := range map[int]int{0: 0, 1: 1, describePage: 1, describePage + 1: 2, 3*describePage - 1: 3} {
		w := newFullWorld(t)
		pat := w.pat()
		w.View.Reads = nil
		w.service.Store = manyStore{umatest.FakeStore{W: w.World}, n}
		shown := 0
		err := w.service.DescribeResources(t.Context(), pat, &ResourceQuery{Max: -1}, func(v *ResourceView) error {
			if w.View.Open != 0 {
				t.Error("a view is open")
			}
			if v.OwnerName != "alice" || v.ScopeRows[0].ID != "scope-view" || string(v.ID) != fmt.Sprint("r-", shown) {
				t.Errorf("got %+v", v)
			}
			shown++
			return nil
		})
		if err != nil || shown != n {
			t.Errorf("got %d resources of %d, %v", shown, n, err)
		}
		if got := len(w.View.Reads); got != 2*pages {
			t.Errorf("%d resources: got %d reads, want %d", n, got, 2*pages)
		}
	}
}
