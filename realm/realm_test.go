package realm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

var update = flag.Bool("update", false, "write the golden file anew")

func noEnv(string) string { return "" }

func parse(t *testing.T, yaml string) (*uma.RealmSpec, []realm.Notice) {
	t.Helper()
	spec, notices, err := realm.Parse("r.yaml", []byte(yaml), noEnv)
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, yaml)
	}
	return spec, notices
}

// TestExample reads a file that has every kind of object. Its policy folder does not exist.
func TestExample(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, notices, err := realm.Parse("testdata/example.yaml", content, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := filepath.Abs("testdata/policies")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile("testdata/corp.pem")
	if err != nil {
		t.Fatal(err)
	}
	ca = bytes.TrimSuffix(ca, []byte("\n"))
	want := &uma.RealmSpec{
		Realm: uma.Realm{
			Name: "photoz", SinkHold: uma.DefaultHold, Enabled: true, Profile: "keycloak", SigningAlg: "RS256",
			Lifetimes: uma.Lifetimes{
				Access: 5 * time.Minute, RPT: 5 * time.Minute, Refresh: 30 * time.Minute,
				Session: 10 * time.Hour, Ticket: 2 * time.Minute, PCT: 24 * time.Hour,
			},
			Policy: uma.PolicySettings{
				Bundle: bundle, Timeout: 100 * time.Millisecond, MaxPermissions: 200,
				ResubmitAfter: 24 * time.Hour, Entrypoint: "data.uma.authz.decision", Gates: uma.DefaultGates(),
			},
			Issuers: []uma.TrustedIssuer{{
				Issuer: "https://idp.example.com", Alias: "example", JWKSURI: "https://idp.example.com/jwks",
				Audiences: []string{"umpire"}, Clients: map[string]string{"6f1c-guid": "photoz-api", uma.AnyClient: "photoz-web"},
				Algorithms: []string{"RS256", "ES256"}, Accept: []uma.TokenUse{uma.UseClaims, uma.UseBearer},
				Require: map[string]any{"tid": "9f2e-guid", "level": json.Number("2"), "staff": true},
				Leeway:  10 * time.Second, AllowPrivate: true, CA: ca, EmailDomains: []string{"example.com"},
				Claims: []string{"limit", "license"}, Bind: uma.BindEmail,
				Map: uma.ClaimsMap{
					Subject: uma.SubjectPath{AccessToken: uma.ClaimPath{"uid"}, IDToken: uma.ClaimPath{"sub"}},
					Client:  uma.ClaimPath{"cid"}, Username: uma.ClaimPath{"name"}, Email: uma.ClaimPath{"email"},
					Groups: uma.GroupsMap{From: uma.ClaimPath{"groups"}, Prefix: "/example", Only: []string{"staff", "admins"}, Optional: true},
					Roles:  uma.ClaimPath{"realm_access", "roles"}, ACR: uma.ClaimPath{"acr"},
					Attributes: map[string]uma.ClaimPath{"department": {"https://example.com/org", "dept"}},
				},
			}},
		},
		Clients: []uma.ClientSpec{
			{PlainSecret: "secret", Client: uma.Client{
				ID: "photoz-api", Enabled: true, ResourceServer: true, ServiceAccount: true, PasswordGrant: true,
				ClientRoles: map[string][]string{"photoz-api": {"uma_protection"}}, Origin: uma.FromFile,
			}},
			{Client: uma.Client{
				ID: "photoz-web", Enabled: true, Public: true, PasswordGrant: true,
				WebOrigins: []string{"http://localhost:3000"}, ClaimsRedirectURIs: []string{"http://localhost:3000/claims"},
				Scopes: []uma.Scope{"download"}, Origin: uma.FromFile,
			}},
		},
		Users: []uma.UserSpec{
			{PlainPassword: "alice", User: uma.User{
				Username: "alice", Enabled: true, Roles: []string{"user", "uma_authorization"}, Groups: []string{"/friends"},
				Claims: map[string]any{"email": "alice@example.com"}, Origin: uma.FromFile,
			}},
			{PlainPassword: "bob", User: uma.User{
				Username: "bob", Enabled: true, Roles: []string{"user", "uma_authorization"},
				ClientRoles: map[string][]string{"photoz-api": {"uma_protection"}}, Origin: uma.FromFile,
			}},
		},
		Scopes: map[string][]uma.Scope{"photoz-api": {"download"}},
		Resources: []uma.ResourceSpec{{ServerID: "photoz-api", OwnerName: "alice", Resource: uma.Resource{
			Name: "Holiday album", Type: "album", URIs: []string{"/album/1"}, Scopes: []uma.Scope{"view", "comment", "delete"},
			OwnerManaged: true, Attributes: map[string][]string{"visibility": {"private"}}, Origin: uma.FromFile,
		}}},
	}
	if !bytes.HasPrefix(spec.Content, content) || !bytes.Contains(spec.Content[len(content):], ca) {
		t.Error("Content is not the content of the file and of ca_file")
	}
	spec.Content = nil
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got %+v\nwant %+v", spec, want)
	}
	wantNotices := []string{
		"testdata/example.yaml:4:76: tokens.pct: has no effect yet: persisted claims tokens are issued by a later version",
		"testdata/example.yaml:31:30: clients[0].secret: is short: a secret should have 32 random bytes",
		"testdata/example.yaml:33:28: clients[1].claims_redirect_uris: have no effect yet: claims are gathered by a later version",
	}
	if got := lines(notices); !slices.Equal(got, wantNotices) {
		t.Errorf("got notices\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(wantNotices, "\n"))
	}
}

func TestReadPhotoz(t *testing.T) {
	t.Parallel()
	spec, _, err := realm.Read("../tests/testdata/photoz/realm.yaml", noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got := []int{len(spec.Clients), len(spec.Users), len(spec.Resources), len(spec.Scopes["photoz-api"])}; !slices.Equal(got, []int{5, 5, 9, 10}) {
		t.Errorf("got %v clients, users, resources, scopes", got)
	}
	if info, err := os.Stat(spec.Realm.Policy.Bundle); err != nil || !info.IsDir() {
		t.Errorf("bundle %s: %v", spec.Realm.Policy.Bundle, err)
	}
}

// TestDefaults: a realm file needs a name only.
func TestDefaults(t *testing.T) {
	t.Parallel()
	spec, notices := parse(t, "realm: r")
	want := uma.Realm{
		Name: "r", Enabled: true, Profile: "keycloak", SigningAlg: "RS256", SinkHold: 7 * 24 * time.Hour,
		Lifetimes: uma.Lifetimes{
			Access: 5 * time.Minute, RPT: 5 * time.Minute, Refresh: 30 * time.Minute,
			Session: 10 * time.Hour, Ticket: 2 * time.Minute, PCT: 24 * time.Hour,
		},
		Policy: uma.PolicySettings{
			Timeout: 100 * time.Millisecond, MaxPermissions: 200, ResubmitAfter: 24 * time.Hour, Entrypoint: "data.uma.authz.decision", Gates: uma.DefaultGates(),
		},
	}
	if !reflect.DeepEqual(spec.Realm, want) || len(notices) > 0 {
		t.Errorf("got %+v and %v\nwant %+v", spec.Realm, notices, want)
	}
}

// TestKeys reads the keys that the example leaves at their defaults.
func TestKeys(t *testing.T) {
	t.Parallel()
	spec, _ := parse(t, `
realm: r
profile: uma2
enabled: false
ticket_reuse: true
sinks: {hold: 1d12h}
tokens: {access: 1m, rpt: 2m, refresh: 3m, session: 4h, ticket: 5s, pct: 6h, signing_alg: EdDSA}
policy: {grant: all_or_nothing, mode: manual, cache_decisions: false, timeout: 50ms, max_permissions: 7, resubmit_after: 1h, entrypoint: data.own.rule, bundle: /policies, gates: {lint: warn, tests: off, coverage: off, min_coverage: 0, impact: block, max_granted: 5, max_refused: 100}, removed: [uma.guardrails, 'uma.policies["https://t"]', 'data.lib["a-b"].c', teams/night.rego]}
issuers: [{issuer: https://i, alias: i, audiences: [a], algorithms: [EdDSA], jwks: {keys: [{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo, n: 1}]}}]
clients:
  - {id: https://c, secret_hash: "sha256:`+strings.Repeat("aB", 32)+`", enabled: false, service_account: true,
     roles: [r1], client_roles: {https://c: [r2]}, groups: [/g/h], claims: {n: 1, f: 1.5, t: true, d: 2026-01-02, l: [x, {y: z}]}}
users:
  - {username: u, enabled: false, password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"}
  - {username: v, password: " spaces and \n all "}
`)
	r := spec.Realm
	if r.Enabled || !r.TicketReuse || r.SinkHold != 36*time.Hour || r.SigningAlg != "EdDSA" || r.Profile != uma.ProfileUMA2 {
		t.Errorf("got realm %+v", r)
	}
	if want := (uma.Lifetimes{Access: time.Minute, RPT: 2 * time.Minute, Refresh: 3 * time.Minute, Session: 4 * time.Hour, Ticket: 5 * time.Second, PCT: 6 * time.Hour}); r.Lifetimes != want {
		t.Errorf("got lifetimes %+v", r.Lifetimes)
	}
	if want := (uma.PolicySettings{Bundle: "/policies", AllOrNothing: true, Timeout: 50 * time.Millisecond, MaxPermissions: 7, ResubmitAfter: time.Hour, Entrypoint: "data.own.rule",
		Removed: []string{"uma.guardrails", `uma.policies["https://t"]`, `data.lib["a-b"].c`, "teams/night.rego"}, Manual: true, DecideAnew: true,
		Gates: uma.Gates{Lint: uma.GateWarns, Tests: uma.GateOff, Coverage: uma.GateOff, Impact: uma.GateBlocks, MaxGranted: 5, MaxRefused: 100}}); !reflect.DeepEqual(r.Policy, want) {
		t.Errorf("got policy %+v", r.Policy)
	}
	if got, want := string(r.Issuers[0].JWKS), `{"keys":[{"crv":"Ed25519","kty":"OKP","n":1,"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`; got != want {
		t.Errorf("got jwks %s, want %s", got, want)
	}
	c := spec.Clients[0]
	wantClaims := map[string]any{"n": json.Number("1"), "f": json.Number("1.5"), "t": true, "d": "2026-01-02", "l": []any{"x", map[string]any{"y": "z"}}}
	if c.Enabled || c.Roles[0] != "r1" || c.ClientRoles["https://c"][0] != "r2" || c.Groups[0] != "/g/h" || !reflect.DeepEqual(c.Claims, wantClaims) {
		t.Errorf("got client %+v", c)
	}
	if u := spec.Users[0]; u.Enabled || !strings.HasPrefix(u.PasswordHash, "$argon2id$") {
		t.Errorf("got user %+v", u)
	}
	if got := spec.Users[1].PlainPassword; got != " spaces and \n all " {
		t.Errorf("got password %q", got)
	}
}

// TestMistakes compares all mistakes of a file with the golden file. After
// go test ./realm -update, review what changed.
func TestMistakes(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	spec, notices, err := realm.Parse("mistakes.yaml", content, noEnv)
	if spec != nil {
		t.Error("got a spec as well")
	}
	if _, ok := errors.AsType[realm.Mistakes](err); !ok {
		t.Fatalf("got %v", err)
	}
	got := errText(err) + "\n"
	if strings.Contains(got+strings.Join(lines(notices), ""), "SECRET-") {
		t.Error("a secret is quoted")
	}
	const golden = "testdata/mistakes.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestNamesAreText: characters that make a name look like another, or that control a
// terminal, are refused.
func TestNamesAreText(t *testing.T) {
	t.Parallel()
	for _, name := range []string{`abc\u202egnp.exe`, `A\u009b2J`, `a\u2028b`, `a\u200fb`, `a\u001bb`} {
		text := strings.ReplaceAll("realm: r\nclients: [{id: api, secret: s, resource_server: true, roles: [\"NAME\"], scopes: [\"NAME\"]}]\n"+
			"users: [{username: \"NAME\", password: p, groups: [\"/NAME\"]}]\nresources: [{name: \"NAME\", resource_server: api, type: \"NAME\", uris: [\"/NAME\"]}]\n", "NAME", name)
		_, _, err := realm.Parse("r.yaml", []byte(text), noEnv)
		for _, place := range []string{"clients[0].roles[0]", "clients[0].scopes[0]", "users[0].username", "users[0].groups[0]", "resources[0].name", "resources[0].type", "resources[0].uris[0]"} {
			if !strings.Contains(errText(err), place) {
				t.Errorf("%s as %s is taken: %v", name, place, err)
			}
		}
	}
}

// TestNoImpostors: a role of the realm must not look like a role of a client, nor a client
// like the server's own; rows.go says why.
func TestNoImpostors(t *testing.T) {
	t.Parallel()
	for _, yaml := range []string{
		"clients: [{id: account, public: true}]",
		"users: [{username: Service-Account-api, password: x}]",
		"users: [{username: u, password: x, roles: [api/uma_protection]}]",
		"users: [{username: u, password: x, client_roles: {c: [a/b]}}]\nclients: [{id: c, public: true}]",
		"users: [{username: u, password: x, claims: {REALM_ACCESS: {roles: [admin]}}}]",
		"users: [{username: u, password: x, claims: {\"\\u017fub\": root}}]",
	} {
		if _, _, err := realm.Parse("r.yaml", []byte("realm: r\n"+yaml), noEnv); err == nil {
			t.Errorf("took %s", yaml)
		}
	}
}

func lines(notices []realm.Notice) []string {
	var all []string
	for _, n := range notices {
		all = append(all, n.String())
	}
	return all
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestBorders has the values nearest to the border between right and wrong.
func TestBorders(t *testing.T) {
	t.Parallel()
	client := func(s string) string { return "clients: [{id: c, public: true, " + s + "}]" }
	resource := func(s string) string {
		return "clients: [{id: c, secret: x, resource_server: true}, {id: plain, secret: x}]\nresources: [{name: n, resource_server: c, " + s + "}]"
	}
	tests := []struct{ yaml, want string }{ // want is a part of the mistake; empty: there is none
		{"policy: {gates: {impact: warn, max_refused: 0}}", ""},
		{"policy: {gates: {impact: none}}", "want block or warn or off"},
		{"policy: {gates: {coverage: 90}}", "want text"},
		{"policy: {gates: {min_coverage: 101}}", "at most 100"},
		{"policy: {gates: {max_granted: -1}}", "whole number, at least 0"},
		{"policy: {gates: {tests: off, coverage: block}}", "tests are off"},
		{"policy: {gates: {tests: off}}", ""},
		{"policy: {max_permissions: 10}", ""},
		{"policy: {max_permissions: 010}", "whole number"},
		{"policy: {max_permissions: 1_0}", "whole number"},
		{client("zz: 1"), "unknown key; want one of"}, // no letter of it is in id
		{client("claims: {n: 012}"), "as JSON writes it"},
		{client("claims: {n: 12345678901234567890}"), ""}, // kept as it is written
		{client("claims: {n: 0x10}"), "as JSON writes it"},
		{client("claims: {n: 1_000}"), "want a"},
		{client("claims: {n: +1}"), "as JSON writes it"},
		{client("claims: {n: .5}"), "as JSON writes it"},
		{client("claims: {n: 1e400}"), "other programs"},
		{client("claims: {n: '1e400'}"), ""},
		{client("claims: {n: 1e-400000}"), "as JSON writes it"}, // for any program but ours it is 0
		{client("claims: {n: [-7, 1e3, 0.5]}"), ""},
		{client("claims: {l: [{a: ~}]}"), "clients[0].claims.l[0].a"},
		{client("web_origins: [https://a.example, 'http://[::1]:3000', 'http://a:8080']"), ""},
		{client("web_origins: ['http://a:']"), "origin"},
		{client("web_origins: ['http://a:80']"), "origin"},
		{client("web_origins: ['https://a?']"), "origin"},
		{client("web_origins: ['null']"), "origin"},
		{client("web_origins: ['https://*.example']"), "origin"},
		{client("claims_redirect_uris: ['http://127.0.0.9:3/x', 'http://[::1]/x', 'http://localhost/', 'https://a/x?y=z']"), ""},
		{client("claims_redirect_uris: ['http://10.0.0.1/x']"), "https"},
		{client("claims_redirect_uris: ['http://localhost.example/x']"), "https"},
		{client("claims_redirect_uris: ['https://u:p@a/x']"), "https"},
		{client("claims_redirect_uris: ['https:a/x']"), "https"},
		{client("claims_redirect_uris: ['https://a/x#']"), "https"},
		{resource("id: " + strings.Repeat("x", 100)), ""},
		{resource("id: " + strings.Repeat("x", 101)), "100 bytes"},
		{resource("type: " + strings.Repeat("x", 255)), ""},
		{resource("type: " + strings.Repeat("x", 256)), "255 bytes"},
		{resource("scopes: [], uris: [], attributes: {a: []}"), ""},
		{resource("attributes: {a: ['', b]}"), ""},
		{resource("attributes: {a: [" + strings.Repeat("x", 16<<10-1) + "]}"), ""},
		{resource("attributes: {a: [" + strings.Repeat("x", 16<<10) + "]}"), "16385 bytes in total, more than 16384"},
		{resource("owner: c"), `no user "c"`},
		{resource("owner: alice") + "\nusers: [{username: Alice, password: x}]", ""},
		{strings.Replace(resource("id: x"), "resource_server: c,", "resource_server: plain,", 1), `"plain" is not a resource server`},
		{strings.Replace(resource("id: x"), "\n", "\nscopes: {plain: [a]}\n", 1), `"plain" is not a resource server`},
		{"policy: {bundle: r_test.go}", ""}, // Parse looks at no folder
		{"policy: {entrypoint: data}", "path of a rule"},
		{"policy: {entrypoint: 'data.a; b'}", "path of a rule"},
		{"policy: {entrypoint: data.a.b}", ""},
		{"policy: {removed: ['*']}", "want a package (uma.guardrails"},
		{"policy: {removed: [uma.policies]}", "want a package (uma.guardrails"},
		{"policy: {removed: [data]}", "want a package (uma.guardrails"},
		{"policy: {removed: [/x.rego]}", "want a package (uma.guardrails"},
		{"users: [{username: u, password: '12'}]", ""},
		{"users: [{username: u, password: true}]", "quotes"},
		{"users: [{username: u, password_hash: 'env:ANY'}]", "not set"},
		{"users: [{username: u, password_hash: '$2b$10$abcdefghijklmnopqrstuv'}]", "want the PHC string"},
		{"users: [{username: u, password_hash: '$argon2id$v=19$m=8,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA'}]", "has parameters out of bounds: m 7168 to"},
		{"tokens: ~", "want an object"},
		{"clients:", "want a list"},
	}
	for _, tc := range tests {
		_, _, err := realm.Parse("r.yaml", []byte("realm: r\n"+tc.yaml), noEnv)
		m, _ := errors.AsType[realm.Mistakes](err)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: got %v", tc.yaml, err)
		case tc.want != "" && len(m) == 0:
			t.Errorf("%s: got no mistake, want %q", tc.yaml, tc.want)
		case tc.want != "" && !strings.Contains(m.Error(), tc.want):
			t.Errorf("%s: got %v, want %q", tc.yaml, m, tc.want)
		}
	}
}

// TestEmailsThatAreAmbiguous: a name or address that two users have finds neither of them.
// The author of the realm file gets a notice, before an owner shares in vain.
func TestEmailsThatAreAmbiguous(t *testing.T) {
	t.Parallel()
	_, notices := parse(t, `
realm: r
users:
  - {username: bob, password: a-long-password-0, claims: {email: Bob@example.com}}
  - {username: bob@example.com, password: a-long-password-0, claims: {email: bob@example.com}}
  - {username: carol, password: a-long-password-0, claims: {email: carol@example.com}}
  - {username: same@example.com, password: a-long-password-0, claims: {email: same@example.com}}
`)
	want := []string{
		"r.yaml:4:16: users[0].username: has the e-mail address bob@example.com, which is the name of another user: owners can share with neither of them by this address",
		"r.yaml:5:16: users[1].username: has the e-mail address of user bob: owners can share with neither of them by this address",
	}
	if got := lines(notices); !slices.Equal(got, want) {
		t.Errorf("got notices\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
