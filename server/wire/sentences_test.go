package wire

import (
	"strings"
	"testing"

	"example.com/umpire/uma"
)

func TestSay(t *testing.T) {
	t.Parallel()
	s := Sentences{
		"a": "Resource [{resource}] lacks {scopes} of {client}",
		"b": "At most {limit} of {parameter}",
	}
	for _, tc := range []struct {
		fault uma.Fault
		want  string
	}{
		{uma.Fault{Kind: "a", Resource: "{scopes}", Scopes: []uma.Scope{"view", "print"}, Client: "app"}, "Resource [{scopes}] lacks [view, print] of app"},
		{uma.Fault{Kind: "b", Parameter: "uris", Limit: 200}, "At most 200 of uris"},
		{uma.Fault{Kind: uma.Missing, Parameter: "username"}, "username is missing"}, // of Plain
		{uma.Fault{}, ""},
	} {
		if got := s.Say(tc.fault); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// No client gets all that it sent back.
func TestListIsCut(t *testing.T) {
	t.Parallel()
	long := []uma.Scope{uma.Scope(strings.Repeat("ä", 100))}
	if got := list(long); len(got) > 80 || !strings.HasSuffix(got, "…]") {
		t.Errorf("got %q", got)
	}
	if got := list(make([]uma.Scope, 50)); strings.Count(got, ",") != 10 || !strings.HasSuffix(got, "…]") {
		t.Errorf("got %q", got)
	}
}
