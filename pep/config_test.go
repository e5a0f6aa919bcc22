package pep_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"example.com/umpire/pep"
)

func goodConfig() pep.Config {
	return pep.Config{
		AuthorizationServer: "https://as.example.com/realms/photoz", Realm: "photoz", ClientID: "photoz-api", ClientSecret: "secret", Mode: pep.Local,
		Rules: []pep.Rule{{Method: "GET", Path: "/album/{id}", URI: "/album/{id}", Scopes: []string{"view"}}},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if _, err := pep.New(goodConfig()); err != nil {
		t.Fatal(err)
	}
	rule := func(change func(*pep.Rule)) func(*pep.Config) {
		return func(c *pep.Config) { change(&c.Rules[0]) }
	}
	for name, c := range map[string]struct {
		change func(*pep.Config)
		want   string
	}{
		"no server":          {func(c *pep.Config) { c.AuthorizationServer = "" }, "AuthorizationServer"},
		"server no URL":      {func(c *pep.Config) { c.AuthorizationServer = "as.example.com" }, "AuthorizationServer"},
		"slash at the end":   {func(c *pep.Config) { c.AuthorizationServer += "/" }, "slash at the end"},
		"password in it":     {func(c *pep.Config) { c.AuthorizationServer = "https://u:hush@as.example.com" }, "no user"},
		"query":              {func(c *pep.Config) { c.AuthorizationServer += "?x=y" }, "query"},
		"no realm":           {func(c *pep.Config) { c.Realm = "" }, "Realm"},
		"realm with newline": {func(c *pep.Config) { c.Realm = "a\nb" }, "Realm"},
		"no client":          {func(c *pep.Config) { c.ClientID = "" }, "ClientID"},
		"no secret":          {func(c *pep.Config) { c.ClientSecret = "" }, "ClientSecret"},
		"no mode":            {func(c *pep.Config) { c.Mode = "" }, "Mode"},
		"unknown mode":       {func(c *pep.Config) { c.Mode = "none" }, "Mode"},
		"negative size":      {func(c *pep.Config) { c.CacheSize = -1 }, "CacheSize"},
		"negative TTL":       {func(c *pep.Config) { c.CacheTTL = -1 }, "CacheTTL"},
		"no rules":           {func(c *pep.Config) { c.Rules = nil }, "exactly one of Rules and Map"},
		"rules and map": {func(c *pep.Config) {
			c.Map = func(*http.Request) (pep.Permission, bool, error) { return pep.Permission{}, false, nil }
		}, "exactly one of Rules and Map"},
		"any method":        {rule(func(r *pep.Rule) { r.Method = "" }), "method"},
		"host before path":  {rule(func(r *pep.Rule) { r.Path = "example.com/album" }), "path"},
		"no path":           {rule(func(r *pep.Rule) { r.Path = "" }), "path"},
		"bad pattern":       {rule(func(r *pep.Rule) { r.Path, r.URI = "/album/{", "/x" }), "rules"},
		"no resource":       {rule(func(r *pep.Rule) { r.URI = "" }), "exactly one of URI and Resource"},
		"unknown wildcard":  {rule(func(r *pep.Rule) { r.URI = "/album/{name}" }), "{name} is not in the path"},
		"no scopes":         {rule(func(r *pep.Rule) { r.Scopes = nil }), "scope"},
		"empty scope":       {rule(func(r *pep.Rule) { r.Scopes = []string{"view", ""} }), "scope"},
		"conflicting rules": {func(c *pep.Config) { c.Rules = append(c.Rules, c.Rules[0]) }, "rules"},
	} {
		cfg := goodConfig()
		c.change(&cfg)
		_, err := pep.New(cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one about %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error tells a password: %v", name, err)
		}
	}
	// all mistakes at once
	err := pep.Config{}.Validate()
	for _, want := range []string{"AuthorizationServer", "Realm", "ClientID", "ClientSecret", "Mode", "Rules"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want it to speak of %s", err, want)
		}
	}
}

func TestFromContextElsewhere(t *testing.T) {
	t.Parallel()
	if g, ok := pep.FromContext(context.Background()); ok {
		t.Errorf("got %+v outside of a protected handler", g)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	id, err := e.pep.Register(t.Context(), pep.Resource{Name: "New", Type: "album", Owner: "u-bob", OwnerManaged: true, URIs: []string{"/album/7"}, Scopes: []string{"view"}})
	if err != nil || id != "made" {
		t.Fatalf("got %q, %v", id, err)
	}
	sent := e.as.resources[len(e.as.resources)-1]["sent"].(map[string]any)
	if sent["name"] != "New" || sent["type"] != "album" || sent["owner"] != "u-bob" || sent["ownerManagedAccess"] != true || sent["resource_scopes"].([]any)[0] != "view" {
		t.Errorf("sent %v", sent)
	}
	e.wantTicket(t, e.do(t, "GET", "/album/7", ""))
	if err := e.pep.Deregister(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, e.do(t, "GET", "/album/7", ""), 403)
	if err := e.pep.Deregister(t.Context(), "unknown"); err != nil {
		t.Errorf("a resource that is gone: got %v", err)
	}
	e.as.set(func() { e.as.down = true })
	if _, err := e.pep.Register(t.Context(), pep.Resource{Name: "Other", Scopes: []string{"view"}}); err == nil {
		t.Error("registered at a server that is down")
	}
	if err := e.pep.Deregister(t.Context(), "made"); err == nil {
		t.Error("deregistered at a server that is down")
	}
}
