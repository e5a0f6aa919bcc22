package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	secret := func(string) string { return "secret" }
	as := "--as=http://127.0.0.1:1/realms/photoz"
	for name, c := range map[string]struct {
		args   []string
		getenv func(string) string
		want   string
	}{
		"starts and stops":        {[]string{as, "--listen=127.0.0.1:0", "--introspect"}, secret, ""},
		"no authorization server": {nil, secret, "AuthorizationServer"},
		"no secret":               {[]string{as}, func(string) string { return "" }, "ClientSecret"},
		"no address":              {[]string{as, "--listen=nowhere"}, secret, "listen"},
		"unknown flag":            {[]string{"--client-secret=x"}, secret, "not defined"},
	} {
		ctx := t.Context()
		if c.want == "" {
			ctx = stopped
		}
		err := run(ctx, c.args, c.getenv, io.Discard)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, c.want)
		}
	}
}
