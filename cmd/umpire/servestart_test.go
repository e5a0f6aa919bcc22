package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestServeReadsBeforeItBinds: mistakes in flags and files are reported before the ports are
// bound.
func TestServeReadsBeforeItBinds(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	write(t, bad, "realm: photoz\nusers: 1\n")
	tests := map[string]struct {
		args []string
		want string
		code int
	}{
		"a realm file":   {[]string{"--realm", bad}, "want a list", exitFailed},
		"no such file":   {[]string{"--realm", bad + "x"}, "no such file", exitFailed},
		"a public URL":   {[]string{"--public-url", "nowhere"}, "--public-url", exitUsage},
		"a network":      {[]string{"--trusted-proxy", "x"}, "--trusted-proxy", exitUsage},
		"a limit":        {[]string{"--failed-passwords", "0"}, "--failed-passwords", exitUsage},
		"nothing but it": {[]string{"--realm", example(t)}, "--listen", exitFailed},
		// Blanks after commas are as people write lists: what is left is the port.
		"lists with blanks": {[]string{"--realm", example(t) + ", " + example(t), "--trusted-proxy", "10.0.0.0/8, 192.168.0.0/16", "--public-url", "https://as.example.com:8443/auth"}, "--listen", exitFailed},
	}
	for name, tc := range tests {
		data := filepath.Join(t.TempDir(), "data")
		_, stderr, code := umpire(t, append([]string{"serve", "--data", data, "--listen", taken.Addr().String(), "--admin-listen", ""}, tc.args...)...)
		if code != tc.code || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: got exit %d and %q, want %d and %q", name, code, stderr, tc.code, tc.want)
		}
		if _, err := os.Stat(data); err == nil {
			t.Errorf("%s: the data folder was made", name)
		}
	}
}
