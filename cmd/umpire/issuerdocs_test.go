package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// TestDocumentedIssuers: each realm file of docs/issuers.md passes `realm check`, and each token
// there becomes what the page says.
func TestDocumentedIssuers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const bearer, subject = uma.UseBearer, uma.UseSubjectToken
	for product, want := range map[string]struct {
		client string // that authenticates
		use    uma.TokenUse
		token  tokenReport
	}{
		"Microsoft Entra": {"", bearer, tokenReport{
			Username: "entra/alice@example.com", Subject: "eeeeeeee-0000-0000-0000-000000000005", EmailVerified: true, GroupsKnown: true,
			Groups: []string{"/entra/dddddddd-0000-0000-0000-000000000004"}, Roles: []string{"Buyer"},
		}},
		"Okta": {"", bearer, tokenReport{
			Username: "okta/alice@example.com", Subject: "00u1exampleAlice", EmailVerified: true, GroupsKnown: true, Groups: []string{"/okta/staff"},
		}},
		"Auth0": {"", bearer, tokenReport{
			Username: "auth0/alice", Subject: "auth0|6553da60a54af58e29493993", EmailVerified: true, Roles: []string{"buyer"},
			Attributes: map[string]any{"plan": "gold"},
		}},
		"Google": {"web", subject, tokenReport{Username: "google/alice@example.com", Subject: "110169484474386276334", EmailVerified: true}},
		"Keycloak": {"", bearer, tokenReport{
			Username: "people/alice", Subject: "5d6c2d3e-0000-0000-0000-000000000001", EmailVerified: true, GroupsKnown: true,
			Groups: []string{"/people/staff"}, Roles: []string{"buyer", "offline_access"}, ACR: "1",
		}},
	} {
		t.Run(product, func(t *testing.T) {
			t.Parallel()
			_, section, _ := strings.Cut(string(text), "\n## "+product+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
			yaml, claims := fenced(section, "yaml"), map[string]any{}
			if err := json.Unmarshal([]byte(fenced(section, "json")), &claims); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "realm.yaml")
			write(t, file, yaml)
			if stdout := ok(t, "realm", "check", "--no-secrets", file); strings.Contains(stdout, "warn") {
				t.Errorf("got %s", stdout)
			}

			// The issuer's keys are not to be had here: the file gets others, for RS256, too.
			alias, _, _ := strings.Cut(want.token.Username, "/")
			jwks := fmt.Sprintf("\n    jwks: {keys: [{kty: RSA, kid: k, e: AQAB, n: %s}]}", base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
			write(t, file, strings.Replace(yaml, "alias: "+alias, "alias: "+alias+jwks, 1))
			now := time.Now()
			claims["iat"], claims["exp"] = now.Unix(), now.Add(time.Hour).Unix()
			delete(claims, "nbf")
			args := []string{"issuer", "check", file, "-o", "json", "--token", "-"}
			if want.client != "" {
				args = append(args, "--client", want.client)
			}
			stdout, stderr, code := umpireReading(t, signClaims(t, key, "RS256", "k", claims), args...)
			if code != 0 {
				t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
			}
			got := decode[issuersReport](t, stdout).Token
			if got.Username != want.token.Username || got.Subject != want.token.Subject || got.EmailVerified != want.token.EmailVerified || got.GroupsKnown != want.token.GroupsKnown ||
				!slices.Equal(got.Groups, want.token.Groups) || !slices.Equal(got.Roles, want.token.Roles) || got.ACR != want.token.ACR ||
				got.Attributes["plan"] != want.token.Attributes["plan"] || got.Type != "user" {
				t.Errorf("got  %+v\nwant %+v", got, want.token)
			}
			if !slices.Contains(got.Uses, tokenUseRow{want.use, "web", ""}) {
				t.Errorf("got uses %+v, want %s of web", got.Uses, want.use)
			}
			if end := section[strings.LastIndex(section, "```"):]; !strings.Contains(end, "`"+got.Username+"`") {
				t.Errorf("the page does not say that it becomes %s: %s", got.Username, end)
			}
		})
	}
}

// fenced returns the first block of a language.
func fenced(section, language string) string {
	_, block, _ := strings.Cut(section, "```"+language+"\n")
	block, _, _ = strings.Cut(block, "```")
	return block
}
