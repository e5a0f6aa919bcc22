package wire

import (
	"errors"
	"strings"
	"testing"
)

func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	const (
		ticket = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE" // 43 letters; tickets and handles have 51, with the time before it
		jwt    = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJ4In0.c2ln"
		id     = "01234567-89ab-4cde-8f01-23456789abcd"
	)
	for in, want := range map[string]string{
		"Resource with id [" + id + "] does not exist.":                  "Resource with id [" + id + "] does not exist.",
		"[http://openid.net/specs/openid-connect-core-1_0.html#IDToken]": "[http://openid.net/specs/openid-connect-core-1_0.html#IDToken]",
		"[" + ticket + "]":                      "[Zm9vYmFy...]",
		"[/a/" + ticket + "," + jwt + "] and":   "[/a/Zm9vYmFy...,eyJhbGci...] and",
		strings.Repeat("x y ", 200):             strings.Repeat("x y ", 128) + "...",
		strings.Repeat(" ", 2030) + ticket:      strings.Repeat(" ", 512) + "...",
		strings.Repeat(ticket+" ", 1000)[:2048]: strings.Repeat("Zm9vYmFy... ", 46) + "...",
	} {
		got := withoutSecrets(in, 512)
		if len(want) > 512 {
			want = want[:512] + "..."
		}
		if got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", in, got, want)
		}
	}
	// No cut leaves most of a ticket at the end.
	for n := range 60 {
		if got := withoutSecrets(strings.Repeat(ticket+" ", 46)+strings.Repeat("a ", n/2)+ticket+strings.Repeat(" x", 2000), 512); strings.Contains(got, ticket[:20]) {
			t.Errorf("%d: got %q", n, got)
		}
	}
	long := errors.New("panic: " + strings.Repeat("main.go:12 ", 1000))
	if got := Logged(long, 500); got != long.Error() {
		t.Errorf("of this server's own trouble the log has %d bytes of %d", len(got), len(long.Error()))
	}
	if got := Logged(long, 400); len(got) > maxLogged+3 {
		t.Errorf("of a refusal the log has %d bytes", len(got))
	}
}
