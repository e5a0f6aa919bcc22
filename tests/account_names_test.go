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
	const photos = 5001 // one more than is looked through in vain
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
		"name=photo&first=4981&max=20": {20, "Photo 4981"}, // 5001 of 5003 have it
		"name=ph&first=4990&max=20":    {11, "Photo 4990"},
		"first=4983&max=20":            {20, "Photo 4981"}, // without a name, with Diary and Holiday album
		"name=PHOTO&max=3":             {3, "Photo 0000"},
		"name=4999":                    {1, "Photo 4999"}, // the last but one: found by the index for parts
		"name=iary":                    {1, "Diary"},
		"name=y&first=0&max=1":         {1, "Diary"}, // full before the photos
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
	for _, query := range []string{"name=y", "name=y&first=1&max=1", "name=zz"} {
		list(query).expect(t, 400, "invalid_request", "There are too many resources to look for this part of a name: give more of it")
	}
}
