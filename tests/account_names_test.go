package tests

import (
	"fmt"
	"strings"
	"testing"
)

// TestAccountNamesOfMany: a page of an account's resources is never shorter than what
// there is, however many names have to be looked through; when that is too many, the
// answer says so. Once such a list lost what came after the first 10,000 names, and a
// resource of the page before.
func TestAccountNamesOfMany(t *testing.T) {
	t.Parallel()
	const photos = 5000 // as many as are looked through in vain; there are Diary and Holiday album, too
	var rows strings.Builder
	for i := range photos {
		fmt.Fprintf(&rows, "  - {name: Photo %04d, resource_server: photoz-api, owner: alice}\n", i)
	}
	e := start(t, photozWith(t, nil, "\nresources:\n", "\nresources:\n"+rows.String()))
	alice := e.as(t, "alice", "photoz-web")
	list := func(query string) *response {
		return e.do(t, request{method: "GET", url: accountResources, as: alice, query: looseQuery(query)})
	}
	for query, want := range map[string]struct {
		rows  int
		first string
	}{
		"name=photo&first=4980&max=20": {20, "Photo 4980"},
		"name=ph&first=4990&max=20":    {10, "Photo 4990"},
		"first=4982&max=20":            {20, "Photo 4980"},
		"name=PHOTO&max=3":             {3, "Photo 0000"},
		"name=4999":                    {1, "Photo 4999"}, // by the index for parts
		"name=iary":                    {1, "Diary"},
		"name=y":                       {2, "Diary"},
		"name=di&max=0":                {0, ""},
		"name=none":                    {0, ""},
	} {
		res := list(query)
		got := asList(res.json)
		first := ""
		if len(got) > 0 {
			first, _ = at(got[0], "name").(string)
		}
		if res.status != 200 || len(got) != want.rows || first != want.first {
			t.Errorf("%s: got %d with %d rows from %q, want %d from %q", query, res.status, len(got), first, want.rows, want.first)
		}
	}
	for _, query := range []string{"name=di", "name=di&first=1&max=1", "name=zz"} {
		list(query).expect(t, 400, "invalid_request", "Too many resources were searched without a match: give a longer part of the name, the type or the scope")
	}
}
