package realm_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

// TestIssuerDefaults: what an issuer may do and say is written down. Without it, its tokens
// are claim tokens that assert nothing, and e-mail addresses, groups and roles are nowhere.
func TestIssuerDefaults(t *testing.T) {
	t.Parallel()
	spec, notices := parse(t, "realm: r\nissuers: [{issuer: https://login.example.com/, alias: example, audiences: [umpire]}]")
	want := []uma.TrustedIssuer{{
		Issuer: "https://login.example.com/", Alias: "example", Audiences: []string{"umpire"},
		Algorithms: []string{"RS256"}, Accept: []uma.TokenUse{uma.UseClaims}, Leeway: 30 * time.Second, Bind: uma.BindSubject,
		Map: uma.ClaimsMap{
			Subject: uma.SubjectPath{AccessToken: uma.ClaimPath{"sub"}, IDToken: uma.ClaimPath{"sub"}},
			Client:  uma.ClaimPath{"azp"}, Username: uma.ClaimPath{"preferred_username"},
		},
	}}
	if !reflect.DeepEqual(spec.Realm.Issuers, want) || len(notices) > 0 {
		t.Errorf("got %+v and %v\nwant %+v", spec.Realm.Issuers, notices, want)
	}
}

// TestIssuerMistakes has a case for each mistake of an issuer, and beside it what is right.
func TestIssuerMistakes(t *testing.T) {
	t.Parallel()
	with := func(members string) string {
		for _, usual := range []string{"issuer: https://i.example", "alias: i", "audiences: [umpire]"} {
			if key, _, _ := strings.Cut(usual, " "); !strings.HasPrefix(members, key) {
				members += ", " + usual
			}
		}
		return "issuers: [{" + members + "}]\nclients: [{id: web, public: true}]"
	}
	mapped := func(members string) string { return with("map: {" + members + "}") }
	tests := []struct{ yaml, want string }{ // want is a part of the mistake; empty: there is none
		{"issuers: [{}]", "issuers[0].issuer: is missing"},
		{"issuers: [{}]", "issuers[0].alias: is missing"},
		{"issuers: [text]", "want an object"},

		// The URL: one issuer, one tenant, byte by byte as in its tokens.
		{with("issuer: 'http://i.example'"), "want an absolute https URL"},
		{with("issuer: 'https://u:p@i.example'"), "want an absolute https URL"},
		{with("issuer: 'https://i.example/#a'"), "want an absolute https URL"},
		{with("issuer: 'https://i.example/?tenant=a'"), "has a query"},
		{with("issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0'"), "has a placeholder in braces"},
		{with("issuer: 'https://login.microsoftonline.com/%7Btenantid%7D/v2.0'"), "has a placeholder in braces"},
		{with("issuer: 'https://login.microsoftonline.com/common/v2.0'"), "common stands for the tenants of everybody"},
		{with("issuer: 'https://login.microsoftonline.com/Organizations/v2.0'"), "Organizations stands for the tenants of everybody"},
		{with("issuer: 'https://login.microsoftonline.com/consumers/v2.0'"), "consumers stands for the tenants of everybody"},
		{with("issuer: 'https://login.microsoftonline.com/9f2e/v2.0'"), ""},
		{with("issuer: 'https://keycloak.example/realms/common'"), ""},
		{with("jwks_uri: 'https://i.example/{tenantid}/keys'"), "has a placeholder in braces"},
		{with("jwks_uri: 'http://i.example/keys'"), "want an absolute https URL"},
		{with("jwks_uri: 'https://i.example/keys?appid=1'"), ""},

		// Addresses that are not on the internet.
		{with("issuer: 'http://127.0.0.1:8080'"), "issuers[0].issuer: is a loopback or private address: set allow_private: true"},
		{with("issuer: 'http://localhost:8080'"), "loopback or private"},
		{with("issuer: 'https://10.0.0.7'"), "loopback or private"},
		{with("issuer: 'https://[::ffff:192.168.1.1]'"), "loopback or private"},
		{with("issuer: 'https://169.254.169.254'"), "loopback or private"},
		{with("issuer: 'https://[fd00::1]'"), "loopback or private"},
		{with("issuer: 'https://10.0.0.7', allow_private: true"), ""},
		{with("issuer: 'http://127.0.0.1:8080', allow_private: true"), ""},
		{with("issuer: 'http://127.0.0.1:8080', jwks_uri: 'https://i.example/keys'"), ""}, // nothing is fetched from it
		{with("jwks_uri: 'http://127.0.0.1/keys'"), "issuers[0].jwks_uri: is a loopback or private address"},

		// The alias.
		{with("alias: Example"), "want at most 32 of"},
		{with("alias: a/b"), "want at most 32 of"},
		{with("alias: ''"), "is empty"},
		{with("alias: " + strings.Repeat("a", 33)), "want at most 32 of"},
		{with("alias: service-account-x"), "reserved for service accounts"},

		// Uses, and what they need.
		{with("accept: []"), "is empty"},
		{with("accept: [refresh]"), "want bearer or subject_token or claims"},
		{with("accept: [bearer]"), "issuers[0].clients: is missing: the client of a bearer"},
		{with("accept: [subject_token]"), "issuers[0].clients: is missing: the client of a subject_token"},
		{with("accept: [bearer], clients: {a: web}"), ""},
		{"issuers: [{issuer: https://i, alias: i, accept: [bearer], clients: {a: web}}]\nclients: [{id: web, public: true}]", "audiences: is missing: a bearer"},
		{"issuers: [{issuer: https://i, alias: i}]", "audiences: is missing: give audiences or clients"},
		{"issuers: [{issuer: https://i, alias: i, clients: {a: web}}]\nclients: [{id: web, public: true}]", ""},
		{"issuers: [{issuer: https://i, alias: i, clients: {'*': web}}]\nclients: [{id: web, public: true}]", `audiences: is missing: "*" in clients`},
		{with("audiences: []"), "is empty"},
		{with("audiences: ['*']"), "there is no wildcard"},
		{with("audiences: [web, 7a], clients: {7a: web}"), "issuers[0].audiences[1]: is among clients, too"},
		{with("clients: {}"), "is empty"},
		{with("clients: {7a: nobody}"), `there is no client "nobody"`},
		{with("clients: {7a: ''}"), "is empty"},
		{with("clients: {'7*': web}"), `"*" alone stands for all other clients`},
		{with("clients: {'*': web}"), ""},
		{with("algorithms: []"), "is empty"},
		{with("algorithms: [HS256]"), "never HS256"},
		{with("algorithms: [none]"), "never none"},
		{with("algorithms: [rs256]"), "want one of RS256"},
		{with("algorithms: [RS256, PS512, ES384, EdDSA]"), ""},
		{with("require: {tid: [a]}"), "want text, a number, true or false"},
		{with("require: {tid: ~}"), "want a JSON value"},
		{with("require: {email_verified: true, level: 2, hd: example.com}"), ""},
		{with("leeway: 5m1s"), "want at most 5m0s"},
		{with("leeway: -1s"), "want a duration of at least 0s"},
		{with("leeway: 0s"), ""},
		{with("allow_private: 1"), "want true or false"},
		{with("ca_file: testdata/team.pem"), "has something else than certificates"},
		{with("ca_file: testdata/opa.yaml"), "has no certificate in PEM"},
		{with("ca_file: testdata/none.pem"), "no such file"},
		{with("ca_file: testdata/corp.pem"), ""},
		{with("claims: [limit], accept: [subject_token], clients: {a: web}"), "issuers[0].claims: has no effect: accept does not have claims"},
		{with("bind: email, map: {email: email}, accept: [subject_token], clients: {a: web}"), "issuers[0].bind: has no effect"},
		{with("claims: []"), "is empty"},
		{with("claims: ['*']"), "name the claims"},
		{with("claims: [sub]"), "issuers[0].claims[0]: is a claim that the server sets itself"},
		{with("claims: [ISS]"), "is a claim that the server sets itself"},
		{with("claims: [kc.client.network.ip_address]"), "is a claim that the server sets itself"},
		{with("claims: [permissions]"), "is a claim that the server sets itself"},
		{with("claims: [limit, acr, amr, auth_time]"), ""},
		{with("email_domains: ['*.example.com'], map: {email: email}"), "want a domain"},
		{with("email_domains: ['@example.com'], map: {email: email}"), "want a domain"},
		{with("email_domains: [com], map: {email: email}"), "want a domain"},
		{with("email_domains: [a.example.com, xn--bcher-kva.example], map: {email: email}"), ""},
		{with("email_domains: [example.com]"), "issuers[0].email_domains: needs map.email"},
		{with("bind: email"), "issuers[0].bind: needs map.email"},
		{with("bind: username, map: {email: email}"), "want subject or email"},

		// The map.
		{mapped("subjekt: sub"), `did you mean "subject"?`},
		{mapped("subject: email"), "email is no subject: it can change"},
		{mapped("subject: UPN"), "upn is no subject"},
		{mapped("subject: [profile, preferred_username]"), "preferred_username is no subject"},
		{mapped("subject: {access_token: uid, id_token: name}"), "id_token: name is no subject"},
		{mapped("subject: tid"), "tid is no subject: it does not say who the party is"},
		{mapped("subject: {access_token: uid}"), "subject.id_token: is missing"},
		{mapped("subject: {access_token: uid, id_token: sub}"), ""},
		{mapped("subject: ''"), "is empty"},
		{mapped("subject: []"), "is empty"},
		{mapped("subject: 7"), "want text"},
		{mapped("client: a..b"), "has an empty name between dots"},
		{mapped("client: https://example.com/app"), "is one name with dots in it"},
		{mapped("client: ['https://example.com/app', id]"), ""},
		{mapped("client: ['']"), "is empty"},
		{mapped("client: a.b.c.d.e.f.g.h.i"), "more than 8 names"},
		{mapped("groups: {prefix: /i}"), "groups.from: is missing"},
		{mapped("groups: {from: groups}"), "groups.prefix: is missing: give prefix or only"},
		{mapped("groups: {from: groups, prefix: i}"), "want the path of a group"},
		{mapped("groups: {from: groups, prefix: /i/}"), "want the path of a group"},
		{mapped("groups: {from: groups, only: []}"), "is empty"},
		{mapped("groups: {from: groups, only: [staff/]}"), "want the name of a group"},
		{mapped("groups: {from: groups, only: [staff, /admins, a/b]}"), ""},
		{mapped("attributes: {Sub: a}"), "is a claim that the server sets itself"},
		{mapped("attributes: {email: mail}"), "e-mail addresses are mapped by map.email"},
		{mapped("attributes: {department: ['https://example.com/org', dept], level: level}"), ""},

		// Several issuers, and users of the realm.
		{"issuers: [{issuer: https://i, alias: i, audiences: [a]}, {issuer: https://i/, alias: j, audiences: [a]}]", "issuers[1].issuer: appears twice"},
		{"issuers: [{issuer: https://i, alias: i, audiences: [a]}, {issuer: https://j, alias: i, audiences: [a]}]", "issuers[1].alias: another issuer has this alias"},
		{"users: [{username: I/bob, password: p}]\n" + with("leeway: 1s"), "users[0].username: begins with i/"},
		{"users: [{username: i.bob, password: p}, {username: x/bob, password: p}]\n" + with("leeway: 1s"), ""},

		// Keys of clients.
		{"clients: [{id: c, public: true, jwks_uri: 'https://c.example/keys'}]", "a public client does not authenticate"},
		{"clients: [{id: c, secret: s, jwks_uri: 'https://c.example/keys'}]", "jwks_uri: is given together with secret"},
		{"clients: [{id: c, jwks_uri: 'http://c.example/keys'}]", "want an absolute https URL on the internet"},
		{"clients: [{id: c, jwks_uri: 'http://127.0.0.1/keys'}]", "want an absolute https URL on the internet"},
		{"clients: [{id: c, jwks_uri: 'https://192.168.0.1/keys'}]", "want an absolute https URL on the internet"},
		{"clients: [{id: c, jwks_uri: 'https://localhost/keys'}]", "want an absolute https URL on the internet"},
		{"clients: [{id: c, jwks_uri: 'https://c.example/keys'}]", ""},
		{"clients: [{id: c, public: true, token_exchange: true}]", "a public client cannot exchange tokens"},
		{"clients: [{id: c, secret: s, token_exchange: true}]", ""},
		{"clients: [{id: c, jwks: {}}]", "clients[0].jwks.keys: is missing"},
	}
	for _, tc := range tests {
		t.Run(tc.yaml, func(t *testing.T) { expectMistake(t, tc.yaml, tc.want) })
	}
}

func expectMistake(t *testing.T, yaml, want string) {
	t.Helper()
	_, _, err := realm.Parse("r.yaml", []byte("realm: r\n"+yaml), noEnv)
	m, _ := errors.AsType[realm.Mistakes](err)
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v", err)
	case want != "" && len(m) == 0:
		t.Errorf("got no mistake, want %q", want)
	case want != "" && !strings.Contains(m.Error(), want):
		t.Errorf("got %v, want %q", m, want)
	}
	for _, n := range m {
		if n.Line == 0 || n.Path == "" {
			t.Errorf("%v has no place", n)
		}
	}
}

// TestKeySets: every key of a realm file verifies signatures of one of the algorithms; one
// that the server would skip is a mistake.
func TestKeySets(t *testing.T) {
	t.Parallel()
	number := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := func(k *rsa.PrivateKey, more string) string {
		return fmt.Sprintf("{kty: RSA, n: %s, e: AQAB%s}", number(k.N.Bytes()), more)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := p384.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := number(point[1:49]), number(point[49:])
	const ed = "{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}"
	tests := []struct{ algorithms, keys, want string }{
		{"RS256", rsaKey(large, ", kid: a, use: sig, alg: RS256, x5c: [AA]"), ""},
		{"PS256", rsaKey(large, ""), ""},
		{"ES384", fmt.Sprintf("{kty: EC, crv: P-384, x: %s, y: %s}", x, y), ""},
		{"EdDSA", ed, ""},
		{"RS256", "", "has no keys"},
		{"RS256", "text", "want an object"},
		{"RS256", rsaKey(small, ""), "is an RSA key of 1024 bits: want 2048 to 4096"},
		{"RS256", "{kty: RSA, n: A A, e: AQAB}", "is no RSA key"},
		{"RS256", strings.Replace(rsaKey(large, ""), "AQAB", "AQ", 1), "is no RSA key"},
		{"RS256", rsaKey(large, ", d: SECRET"), "contains a private key (member d)"},
		{"RS256", "{kty: oct, x: SECRET}", "want a public key"},
		{"RS256", rsaKey(large, ", use: enc"), "its use is not sig"},
		{"RS256", rsaKey(large, ", key_ops: [encrypt]"), "its key_ops do not have verify"},
		{"RS256", rsaKey(large, ", alg: ES256"), "has an alg that is not one of its kind"},
		{"RS256", rsaKey(large, ", alg: RS512"), "is not for one of the issuer's algorithms"},
		{"RS256", rsaKey(large, ", kid: 7"), "has a kid that is not text"},
		{"RS256", rsaKey(large, ", kid: a") + ", " + rsaKey(large, ", kid: a"), "keys[1]: another key has this kid"},
		{"RS256", rsaKey(large, "") + ", " + rsaKey(large, ""), "keys[1]: another key has this kid"},
		{"RS256", ed, "is not for one of the issuer's algorithms: want a key for RS256"},
		{"ES256", fmt.Sprintf("{kty: EC, crv: P-384, x: %s, y: %s}", x, y), "is not for one of the issuer's algorithms"},
		{"ES256", fmt.Sprintf("{kty: EC, crv: P-256, x: %s, y: %s}", x, y), "is no point of the curve P-256"},
		{"ES384", fmt.Sprintf("{kty: EC, crv: P-384, x: %s, y: %s}", x, x), "is no point of the curve P-384"},
		{"ES384", fmt.Sprintf("{kty: EC, crv: secp256k1, x: %s, y: %s}", x, y), "want crv P-256, P-384 or P-521"},
		{"EdDSA", "{kty: OKP, crv: X25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}", "want crv Ed25519"},
		{"EdDSA", "{kty: OKP, crv: Ed25519, x: AA}", "is no key of Ed25519"},
		{"EdDSA", strings.Repeat(ed+", ", 51), "has more than 50 keys"},
	}
	for _, tc := range tests {
		t.Run(tc.want, func(t *testing.T) {
			yaml := "issuers: [{issuer: https://i, alias: i, audiences: [a], algorithms: [" + tc.algorithms + "], jwks: {keys: [" + tc.keys + "]}}]"
			expectMistake(t, yaml, tc.want)
			if _, _, err := realm.Parse("r.yaml", []byte("realm: r\n"+yaml), noEnv); strings.Contains(errText(err), "SECRET") {
				t.Error("a key is quoted")
			}
		})
	}
	for _, key := range []string{"jwks_uri: https://i/k", "ca_file: testdata/corp.pem", "allow_private: true"} {
		expectMistake(t, "issuers: [{issuer: https://i, alias: i, audiences: [a], algorithms: [EdDSA], jwks: {keys: ["+ed+"]}, "+key+"}]",
			"is given together with jwks")
	}
	spec, _ := parse(t, "realm: r\nclients: [{id: c, jwks: {keys: ["+ed+"]}}]")
	if got, want := string(spec.Clients[0].JWKS), `{"keys":[{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`; got != want {
		t.Errorf("got jwks %s of the client, want %s", got, want)
	}
}

// TestTwoAuthorities: two issuers may be authorities on a domain while people move from one to
// the other. Owners cannot share by an address that two parties have, and the author is told.
func TestTwoAuthorities(t *testing.T) {
	t.Parallel()
	_, notices := parse(t, `
realm: r
issuers:
  - {issuer: https://i, alias: old, audiences: [a], email_domains: [example.com], map: {email: email}}
  - {issuer: https://j, alias: new, audiences: [a], email_domains: [EXAMPLE.com], map: {email: email}}
`)
	want := []string{
		"r.yaml:5:68: issuers[1].email_domains: issuer old is the authority on addresses of example.com, too: owners cannot share by an address that parties of both have",
	}
	if got := lines(notices); !slices.Equal(got, want) {
		t.Errorf("got notices %q, want %q", got, want)
	}
}
