package node_test

import (
	"strings"
	"testing"

	"example.com/umpire/node"
)

func TestParseCaches(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]node.Caches{
		"all":              {Sessions: true, Users: true, Resources: true, Shares: true, Decisions: true},
		"none":             {},
		"sessions":         {Sessions: true},
		"users, resources": {Users: true, Resources: true},
		"shares,decisions": {Shares: true, Decisions: true},
	} {
		want.Memory = 4 << 20
		if got, err := node.ParseCaches(list); err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", list, got, err, want)
		}
	}
	for _, list := range []string{"", "everything", "users,", "users,none", "all,users", "Users"} {
		if got, err := node.ParseCaches(list); err == nil || !strings.Contains(err.Error(), "sessions") || got != (node.Caches{}) {
			t.Errorf("%q: got %+v, %v; want an error that names the caches", list, got, err)
		}
	}
}
