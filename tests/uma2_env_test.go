package tests

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// strictly starts a server whose realm speaks UMA 2.0 as the specifications have
// it: testdata/uma2.
func strictly(t testing.TB, opts ...func(*options)) *env {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "uma2", "realm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("testdata", "uma2", "policies", "*.rego"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies: %v", err)
	}
	policies := map[string]string{}
	for _, file := range files {
		policies[filepath.Base(file)] = string(readFile(t, file))
	}
	return start(t, append([]func(*options){withRealm(string(text), policies)}, opts...)...)
}

// patOf is a protection API access token: a user's through a resource server, or
// without a user of the resource server itself.
func (e *env) patOf(t testing.TB, user, server string) credentials {
	t.Helper()
	return bearer(e.signIn(t, user, server, "uma_protection").access)
}

// A description is what is registered of a resource.
type description = map[string]any

// scoped is a description that has scopes alone.
func scoped(scopes ...string) description {
	return description{"resource_scopes": append([]string{}, scopes...)}
}

// typed is one that has a type too, which says what policy it is under.
func typed(kind string, scopes ...string) description {
	d := scoped(scopes...)
	d["type"] = kind
	return d
}

// register registers a resource and returns its id.
func (e *env) register(t testing.TB, pat credentials, d description) string {
	t.Helper()
	res := e.send(t, "POST", resourceSet, pat, d)
	if res.status != 201 || res.str("_id") == "" {
		t.Fatalf("register %v: got %s", d, res)
	}
	return res.str("_id")
}

// ask is a permission to ask a ticket for.
func ask(resource string, scopes ...string) any {
	return map[string]any{"resource_id": resource, "resource_scopes": append([]string{}, scopes...)}
}

// strictTicket is a ticket for what is asked.
func (e *env) strictTicket(t testing.TB, pat credentials, asked ...any) string {
	t.Helper()
	res := e.send(t, "POST", permission, pat, asked)
	if res.status != 201 || res.str("ticket") == "" {
		t.Fatalf("ask for a ticket for %v: got %s", asked, res)
	}
	return res.str("ticket")
}

// members are the names in an answer, sorted.
func members(res *response) []string { return slices.Sorted(maps.Keys(res.object())) }
