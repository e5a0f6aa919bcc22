package main

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// trusting writes a realm file with an issuer at a URL, and returns its path.
func trusting(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "realm.yaml")
	write(t, file, "realm: shop\nissuers: [{issuer: '"+url+"', alias: example, audiences: [umpire], algorithms: [EdDSA],\n"+
		"  jwks: {keys: [{kty: OKP, crv: Ed25519, kid: k, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}]}}]\n")
	return file
}

// TestIssuerRename: an alias is moved by this command alone. A realm file that gives it to
// another URL is refused with the command to run.
func TestIssuerRename(t *testing.T) {
	t.Parallel()
	const here, there = "https://login.example.com", "https://login.example.com/eu"
	data, old, next := t.TempDir(), trusting(t, here), trusting(t, there)
	ok(t, "realm", "apply", "--data", data, old)

	fails := func(want string, code int, args ...string) {
		t.Helper()
		if stdout, stderr, got := umpire(t, slices.Concat(args, []string{"--data", data})...); got != code || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
		}
	}
	rename := "umpire issuer rename example " + there + " --realm shop"
	fails("the alias example belongs to the issuer "+here, 1, "realm", "apply", next)
	fails("`"+rename+"`", 1, "realm", "apply", next)
	fails("`"+rename+"`", 1, "realm", "apply", "--dry-run", next)
	fails("`"+rename+"`", 1, "serve", "--realm", next, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	text, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "realm.yaml")
	write(t, other, strings.Replace(string(text), "alias: example", "alias: corp", 1))
	fails("keep it instead of corp", 1, "realm", "apply", other)

	args := strings.Fields(strings.TrimPrefix(rename, "umpire "))
	fails("URL is missing", 2, "issuer", "rename", "example", "--realm", "shop")
	fails("--realm is missing", 2, args[:4]...)
	fails(`there is no realm "shopp"`, 2, slices.Concat(args[:5], []string{"shopp"})...)
	fails(`no issuer with the alias "exampel"`, 2, "issuer", "rename", "exampel", there, "--realm", "shop")
	fails("want an absolute https URL", 2, "issuer", "rename", "example", "http://login.example.com", "--realm", "shop")
	fails("common stands for the tenants of everybody", 2, "issuer", "rename", "example", "https://login.example.com/common/v2.0", "--realm", "shop")
	if got := ok(t, append(args, "--data", data)...); !strings.Contains(got, "apply a realm file") {
		t.Errorf("got %q", got)
	}
	if got := decode[renamedIssuer](t, ok(t, append(args, "--data", data, "-o", "json")...)); got != (renamedIssuer{"shop", "example", there}) {
		t.Errorf("got %+v", got)
	}
	fails("the alias example belongs to the issuer "+there, 1, "realm", "apply", old)
	ok(t, "realm", "apply", "--data", data, next)
}

// An issuerServer publishes keys, and signs tokens with the one that is k1.
type issuerServer struct {
	*httptest.Server
	key ed25519.PrivateKey
}

func newIssuerServer(t *testing.T) *issuerServer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &issuerServer{key: private}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer": %q, "jwks_uri": %q}`, s.URL, s.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": %q}, {"kty": "OKP", "crv": "Ed25519", "kid": "k2", "use": "enc", "x": %[1]q}]}`,
			base64.RawURLEncoding.EncodeToString(public))
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *issuerServer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	return signClaims(t, s.key, "EdDSA", "k1", claims)
}

// signClaims makes a token that is signed with a key of that id.
func signClaims(t *testing.T, key crypto.Signer, alg, kid string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	token, err := umatest.SignJWT(key, alg, fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, kid), string(payload))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// umpireReading is umpire with something on standard input.
func umpireReading(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs buffer
	root := newRoot(&env{stdout: &out, stderr: &errs, getenv: environment(t, args), now: time.Now})
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	cmd, err := root.ExecuteContextC(t.Context())
	code = report(&errs, cmd, err)
	return out.String(), errs.String(), code
}

// TestIssuerCheck: which keys of an issuer would be trusted and why not, and what a token would
// become, before anything is applied and from the database.
func TestIssuerCheck(t *testing.T) {
	t.Parallel()
	s, gone := newIssuerServer(t), httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	dir, data := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "realm.yaml")
	content := "realm: shop\nclients: [{id: web, public: true}, {id: api, secret: a-secret-of-the-api}]\nissuers:\n" +
		"  - {issuer: '" + s.URL + "', alias: example, allow_private: true, algorithms: [EdDSA], audiences: [umpire], clients: {6f1c: web, 2a9d: api},\n" +
		"     accept: [bearer, subject_token], map: {email: email, groups: {from: groups, prefix: /example}, roles: roles, attributes: {department: [org, dept]}}}\n"
	write(t, file, content)
	args := []string{"issuer", "check", file, "-o", "json"}
	check := func(code int, stdin string, args ...string) issuersReport {
		t.Helper()
		stdout, stderr, got := umpireReading(t, stdin, args...)
		if got != code {
			t.Fatalf("umpire %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
		}
		return decode[issuersReport](t, stdout)
	}

	r := check(0, "", args...)
	if i := r.Issuers[0]; !r.OK || !i.OK || i.Discovery != s.URL+"/.well-known/openid-configuration" || i.JWKSURI != s.URL+"/keys" || len(i.Keys) != 2 ||
		i.Keys[0].KID != "k1" || !slices.Equal(i.Keys[0].Algorithms, []string{"EdDSA"}) || i.Keys[1].Why == "" {
		t.Errorf("got %+v", r)
	}
	shape := documentedShapes(t)["issuer check"]
	claims := map[string]any{
		"iss": s.URL, "sub": "1", "aud": "umpire", "azp": "6f1c", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "preferred_username": "alice",
		"email": "alice@example.com", "email_verified": true, "groups": []string{"staff"}, "roles": []string{"buyer"}, "org": map[string]any{"dept": "sales"},
	}
	token := s.sign(t, claims)
	args = append(args, "--token", "-")
	k := check(0, token+"\n", args...).Token
	if k.Type != "user" || k.Username != "example/alice" || k.Subject != "1" || !k.EmailVerified || !slices.Equal(k.Groups, []string{"/example/staff"}) ||
		!slices.Equal(k.Roles, []string{"buyer"}) || k.Attributes["department"] != "sales" {
		t.Errorf("got %+v", k)
	}
	want := []tokenUseRow{
		{uma.UseBearer, "web", ""}, {uma.UseSubjectToken, "", "no client authenticated in this request"},
		{uma.UseClaims, "", "the realm does not accept its tokens as claims"},
	}
	if !slices.Equal(k.Uses, want) {
		t.Errorf("got %+v\nwant %+v", k.Uses, want)
	}
	if u := check(0, token, append(args, "--client", "web")...).Token.Uses[1]; u.Client != "web" {
		t.Errorf("got %+v, want a subject_token of web", u)
	}
	if k := check(3, s.sign(t, map[string]any{"iss": s.URL, "sub": "1", "aud": "other", "exp": claims["exp"]}), args...).Token; k.OK || k.Error == "" {
		t.Errorf("got %+v, want a token without groups that is not believed", k)
	}
	claims["iss"] = s.URL + "/"
	if k := check(3, s.sign(t, claims), args...).Token; !strings.Contains(k.Error, fmt.Sprintf("its iss is %q", s.URL+"/")) {
		t.Errorf("got %+v, want the issuer that the token names", k)
	}
	for _, bad := range []string{"opaque", "a.b.c", "e30.e30.", token + "x", token[:len(token)-8]} {
		if k := check(3, bad, args...).Token; k.OK || k.Error == "" || len(k.Uses) > 0 {
			t.Errorf("%q: got %+v", bad, k)
		}
	}
	for _, args := range [][]string{args, {"issuer", "check", file, "-o", "json"}} {
		stdout, _, _ := umpireReading(t, token, args...)
		for _, difference := range shape.differences("", shape.example, decode[any](t, stdout)) {
			t.Errorf("%v: %s", args, difference)
		}
	}

	missing := filepath.Join(dir, "misspelt.yaml")
	if _, stderr, _ := umpireReading(t, "", "issuer", "check", missing, "--data", t.TempDir()); !strings.Contains(stderr, missing) || strings.Contains(stderr, "database") {
		t.Errorf("got %s, want that the file does not exist", stderr)
	}

	// For people, and from the database.
	ok(t, "realm", "apply", "--data", data, file)
	stdout, _, _ := umpireReading(t, token, "issuer", "check", "shop", "--data", data, "--token", "-")
	for _, want := range []string{"example  " + s.URL, "key k1", "Ed25519, for EdDSA", "not used: ", "the token is believed", "username          example/alice", "as bearer         client web"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("got %s\nwant %q", stdout, want)
		}
	}
	write(t, file, strings.Replace(content, s.URL, gone.URL, 1))
	stdout, _, code := umpireReading(t, token, "issuer", "check", file, "--token", "-")
	if code != 3 || !strings.Contains(stdout, "cannot be used") || !strings.Contains(stdout, "404") || !strings.Contains(stdout, "the token is not believed") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	for _, tc := range []struct {
		stdin, want string
		args        []string
	}{
		{token, "the token is read from standard input", []string{file, "--token", token}},
		{"", "standard input is empty", []string{file, "--token", "-"}},
		{strings.Repeat("a", maxForeign+1), "more than 64 KiB", []string{file, "--token", "-"}},
		{token, "has no effect without --token", []string{file, "--client", "web"}},
		{token, `no client "nobody"`, []string{file, "--token", "-", "--client", "nobody"}},
		{"", `there is no realm "shopp"`, []string{"shopp", "--data", data}},
	} {
		_, stderr, code := umpireReading(t, tc.stdin, append([]string{"issuer", "check"}, tc.args...)...)
		if code != 2 || !strings.Contains(stderr, tc.want) || strings.Contains(stderr, token) {
			t.Errorf("%v: exit %d, %s", tc.args, code, stderr)
		}
	}
}
