package pingam_test

import (
	"testing"

	"example.com/umpire/server/pingam"
)

func TestInnermost(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, path, want string }{
		{"one realm", "/am/uma/realms/root/realms/alpha/permission_request", "/am/uma/realms/root/realms/alpha/permission_request"},
		{"a realm in a realm", "/am/uma/realms/root/realms/alpha/realms/beta/permission_request", "/am/uma/realms/root/realms/beta/permission_request"},
		{"deeper", "/json/realms/root/realms/a/realms/b/realms/c/users/bob/uma/policies", "/json/realms/root/realms/c/users/bob/uma/policies"},
		{"nothing behind", "/oauth2/realms/root/realms/a/realms/b", "/oauth2/realms/root/realms/b"},
		{"a slash behind", "/uma/realms/root/realms/a/realms/b/resource_set/", "/uma/realms/root/realms/b/resource_set/"},
		{"a realm called realms", "/uma/realms/root/realms/realms/realms/root/resource_set", "/uma/realms/root/realms/root/resource_set"},
		{"percent-encoded names stay so", "/uma/realms/root/realms/a%2Frealms%2Fb/realms/c%20d/resource_set", "/uma/realms/root/realms/c%20d/resource_set"},
		{"the root alone", "/uma/realms/root/permission_request", "/uma/realms/root/permission_request"},
		{"a name that begins so", "/uma/realms/rootless/realms/a/realms/b", "/uma/realms/rootless/realms/a/realms/b"},
		{"a name that is empty", "/uma/realms/root/realms//permission_request", "/uma/realms/root/realms//permission_request"},
		{"realms in what follows", "/uma/realms/root/realms/a/resource_set/x/realms/y", "/uma/realms/root/realms/a/resource_set/x/realms/y"},
		{"another face", "/realms/root/realms/a/realms/b", "/realms/root/realms/a/realms/b"},
		{"root further on", "/realms/photoz/x/realms/root/realms/a/realms/b", "/realms/photoz/x/realms/root/realms/a/realms/b"},
		{"nothing", "", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := pingam.Innermost(tc.path); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
