package protection

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/umatest"
)

// `*`, the empty string and names with # or a comma are no scope names (design §5).
func TestCheckScope(t *testing.T) {
	t.Parallel()
	for _, good := range []uma.Scope{
		"view", "http://photoz.example.com/dev/scopes/view", "urn:x:y", "Scope A", "**", "a*", "ünïcödé", "?", "a;b", "a=b",
		uma.Scope(strings.Repeat("a", 255)),
	} {
		if fault := uma.CheckScope(good); fault.Kind != "" {
			t.Errorf("%q: got %v", good, fault)
		}
	}
	for bad, want := range map[uma.Scope]uma.FaultKind{
		"":                                  uma.NoScopeName,
		"*":                                 uma.NoScopeName,
		"#":                                 uma.ScopeHasSeparator,
		"a#b":                               uma.ScopeHasSeparator,
		"a,b":                               uma.ScopeHasSeparator,
		"https://h/p#view":                  uma.ScopeHasSeparator,
		uma.Scope(strings.Repeat("a", 256)): uma.ScopeTooLong,
		uma.Scope(strings.Repeat("é", 128)): uma.ScopeTooLong,
		"a\nb":                              uma.ScopeNotText,
		"a\x00":                             uma.ScopeNotText,
		"a\x7f":                             uma.ScopeNotText,
		"a\xff":                             uma.ScopeNotText,
	} {
		if fault := uma.CheckScope(bad); fault.Kind != want {
			t.Errorf("%q: got %v, want %s", bad, fault, want)
		}
	}
}

func TestResourceInputCheck(t *testing.T) {
	t.Parallel()
	many := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("/%d", i))
		}
		return out
	}
	attributes := func(n int) map[string][]string {
		out := map[string][]string{}
		for _, name := range many(n) {
			out[name] = []string{"v"}
		}
		return out
	}
	values := func(n, bytes int) []string { return slices.Repeat([]string{strings.Repeat("x", bytes)}, n) }
	var scopes []uma.Scope
	for _, s := range many(201) {
		scopes = append(scopes, uma.Scope(s))
	}
	tests := []struct {
		name string
		in   ResourceInput
		want string // "" for none
	}{
		{"a name is enough", ResourceInput{Name: "Album"}, ""},
		{"everything", ResourceInput{
			Name: "Album", DisplayName: "My album", Type: "http://photoz/album", IconURI: "https://icons.example/a.png",
			URIs: []string{"/album/1", "/album/{id}", "/album/*"}, Scopes: umatest.ScopesOf("view edit"), OwnerManaged: true, Attributes: map[string][]string{"k": {"v"}},
		}, ""},
		{"as much as there may be", ResourceInput{Name: strings.Repeat("n", 255), URIs: many(200), Scopes: scopes[:200], Attributes: attributes(200)}, ""},
		{"no name", ResourceInput{}, `missing parameter="name"`},
		{"a blank name", ResourceInput{Name: " \t\n"}, `missing parameter="name"`},
		{"a long name", ResourceInput{Name: strings.Repeat("n", 256)}, `too_long parameter="name" limit=255`},
		{"a name that is no text", ResourceInput{Name: "a\x00b"}, `not_text parameter="name"`},
		{"a long type", ResourceInput{Name: "a", Type: strings.Repeat("t", 256)}, `too_long parameter="type" limit=255`},
		{"a display name that is no text", ResourceInput{Name: "a", DisplayName: "\xff"}, `not_text parameter="displayName"`},
		{"too many uris", ResourceInput{Name: "a", URIs: many(201)}, `too_many_members parameter="uris" limit=200`},
		{"too many scopes", ResourceInput{Name: "a", Scopes: scopes}, `too_many_members parameter="resource_scopes" limit=200`},
		{"too many attributes", ResourceInput{Name: "a", Attributes: attributes(201)}, `too_many_members parameter="attributes" limit=200`},
		{"attributes of all the bytes that there may be", ResourceInput{Name: "a", Attributes: map[string][]string{"a": values(4, 4000), "b": values(1, uma.MaxAttributes-16004)}, Texts: map[string]string{"t": "x"}}, ""},
		{"attributes of a byte more", ResourceInput{Name: "a", Attributes: map[string][]string{"a": values(4, 4000), "b": values(1, uma.MaxAttributes-16004)}, Texts: map[string]string{"t": "xy"}}, `attributes_too_large limit=16384`},
		{"descriptions that are too long", ResourceInput{Name: "a", Texts: map[string]string{"a": values(1, 4000)[0], "b": values(1, 4000)[0], "c": values(1, 4000)[0], "d": values(1, 4000)[0], "e": values(1, 4000)[0]}}, `attributes_too_large limit=16384`},
		{"a uri that is none", ResourceInput{Name: "a", URIs: []string{"/ok", "/a/{"}}, `uri_invalid value="/a/{"`},
		{"an empty uri", ResourceInput{Name: "a", URIs: []string{""}}, `uri_invalid`},
		{"the star as a scope", ResourceInput{Name: "a", Scopes: umatest.ScopesOf("view *")}, `no_scope_name scopes=["*"]`},
		{"an empty scope", ResourceInput{Name: "a", Scopes: []uma.Scope{""}}, `no_scope_name scopes=[""]`},
		{"a scope with a comma", ResourceInput{Name: "a", Scopes: []uma.Scope{"a,b"}}, `scope_has_separator scopes=["a,b"]`},
		{"an icon without a scheme", ResourceInput{Name: "a", IconURI: "/icon.png"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon without a host", ResourceInput{Name: "a", IconURI: "https:///icon.png"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon that is a script", ResourceInput{Name: "a", IconURI: "javascript:alert(1)"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon that is data", ResourceInput{Name: "a", IconURI: "data:image/png;base64,AAAA"}, `not_a_web_url parameter="icon_uri"`},
		{"an icon that is no URL", ResourceInput{Name: "a", IconURI: "http://a\x00b"}, `not_a_web_url parameter="icon_uri"`},
	}
	server := &Caller{Server: &uma.Client{UUID: "uuid-api"}, Identity: &party.Identity{Subject: "uuid-api"}}
	for _, tc := range tests {
		err := server.check(&tc.in)
		reason := uma.InvalidRequest
		switch {
		case tc.want == "":
			reason = ""
		case strings.Contains(tc.want, "scope_"):
			reason = uma.InvalidScope
		}
		if got := faultOf(err).String(); got != tc.want || umatest.Reason(err) != reason {
			t.Errorf("%s: got %v, want %s %s", tc.name, err, reason, tc.want)
		}
	}
}

func TestNewResource(t *testing.T) {
	t.Parallel()
	in := ResourceInput{Name: "Album", Owner: "somebody", Scopes: umatest.ScopesOf("view edit view"), URIs: []string{"/a"}}
	c := &Caller{Server: &uma.Client{Key: 10, UUID: "uuid-api"}, Identity: &party.Identity{Subject: "uuid-api"}}
	r := c.newResource(&in, "r-1", "u-alice")
	if r.Server != 10 || r.Owner != "u-alice" || r.ID != "r-1" || string(r.Origin) != "api" || !slices.Equal(r.Scopes, umatest.ScopesOf("view edit")) {
		t.Errorf("got %+v", r)
	}
	if r := (&Caller{Server: c.Server, Identity: &party.Identity{Subject: "u-bob"}}).newResource(&in, "r-1", "u-bob"); r.Origin != uma.FromOwner {
		t.Errorf("by a user: got origin %q, want owner", r.Origin)
	}
	if r.Attributes != nil {
		t.Errorf("attributes that were not given: got %v, want nil, so that they stay", r.Attributes)
	}
}

// The rules of a face say what a description leaves out.
func TestResourcesByTheRules(t *testing.T) {
	t.Parallel()
	server := &uma.Client{UUID: "uuid-api"}
	caller := func(rules Rules) *Caller {
		return &Caller{Server: server, Identity: &party.Identity{Subject: "uuid-api"}, Rules: rules}
	}
	old := &uma.Resource{ID: "r-1", Owner: "u-alice", Name: "Album", DisplayName: "My album", URIs: []string{"/a"}, OwnerManaged: true}
	nameless := &ResourceInput{}
	if err := caller(Rules{}).check(nameless); faultOf(err).Kind != uma.Missing {
		t.Errorf("without a name: got %v", err)
	}
	c := caller(Rules{Nameless: true})
	if err := c.check(nameless); err != nil || c.newResource(nameless, "r-1", "u-alice").Name != "r-1" || c.replacedResource(nameless, old).Name != "r-1" {
		t.Errorf("Nameless: got %v, want the id as the name", err)
	}
	if err := c.check(&ResourceInput{Name: " "}); faultOf(err).Kind != uma.Missing {
		t.Errorf("Nameless, a blank name: got %v", err)
	}
	for owner, want := range map[string]bool{"u-alice": true, "uuid-api": false} {
		if got := caller(Rules{OwnersManage: true}).newResource(&ResourceInput{OwnerManaged: !want}, "r-1", owner).OwnerManaged; got != want {
			t.Errorf("OwnersManage, %s: got %t", owner, got)
		}
		if got := caller(Rules{}).newResource(&ResourceInput{OwnerManaged: !want}, "r-1", owner).OwnerManaged; got == want {
			t.Errorf("%s: got %t, want what the description says", owner, got)
		}
	}
	if r := caller(Rules{KeepUndescribed: true}).replacedResource(nameless, old); !r.OwnerManaged || r.DisplayName != "My album" || len(r.URIs) != 1 {
		t.Errorf("KeepUndescribed: got %+v", r)
	}
	if r := caller(Rules{}).replacedResource(nameless, old); r.OwnerManaged || r.DisplayName != "" || len(r.URIs) != 0 {
		t.Errorf("without the rule: got %+v", r)
	}
}
