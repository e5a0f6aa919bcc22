package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// secretsRealm is photoz with secrets that are nobody's name, so that finding one
// says something.
func secretsRealm(t testing.TB) func(*options) {
	t.Helper()
	return photozWith(t, map[string]string{
		"guardrails.rego": `package uma.guardrails
need_info contains {"name": "email"} if {
	input.resource.type == "bare"
	not input.claims.verified.email
}`,
		"broken.rego": `package uma.policies.broken
rpt := {"ttl": 1} if input.scopes
rpt := {"ttl": 2} if input.scopes`,
	}, "{username: bob, password: bob,", "{username: bob, password: bobs-passphrase-71,", "secret: plain-secret", "secret: plain-s3cret-of-its-own")
}

// A keeper notes all secrets of a story and everything that clients are told.
type keeper struct {
	e       *env
	secrets map[string]string // by what they are
	told    []*response       // refusals
}

// post sends a form and notes the secrets of the answer.
func (k *keeper) post(t *testing.T, path string, as credentials, kv ...string) *response {
	t.Helper()
	res := k.e.post(t, path, as, kv...)
	for name, v := range res.object() {
		if s, _ := v.(string); slices.Contains([]string{"access_token", "refresh_token", "id_token", "ticket"}, name) {
			k.note(t, name, s)
		}
	}
	if res.status >= 400 && res.str("ticket") == "" {
		k.told = append(k.told, res)
	}
	return res
}

// note keeps a secret: of a token the whole, and what it cannot be used without.
func (k *keeper) note(t *testing.T, what, secret string) {
	t.Helper()
	if len(secret) < 10 {
		t.Fatalf("%s: %q is no secret", what, secret)
	}
	k.secrets[what+": "+secret] = secret
	parts := strings.Split(secret, ".")
	if len(parts) != 3 {
		return
	}
	k.secrets[what+", signature: "+secret] = parts[2]
	var claims struct{ Handle string }
	if raw, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(raw, &claims) == nil && claims.Handle != "" {
		k.secrets[what+", handle: "+secret] = claims.Handle
	}
}

// TestSecretsStayOut: no secret, token or ticket gets into a record, a log line,
// an error that a client is told, or, where a hash will do, the database.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	e := start(t, secretsRealm(t), func(o *options) { o.Verbatim = true })
	db := e.stored(t)
	k := &keeper{e: e, secrets: map[string]string{}}
	k.note(t, "password", "bobs-passphrase-71")
	k.note(t, "client secret", "plain-s3cret-of-its-own")
	k.note(t, "client secret", secrets["photoz-app"])
	k.note(t, "a wrong password", "Tr0ub4dor&3-wrong")
	k.note(t, "a wrong secret", "sesame-open-wrong")
	k.tell(t)

	for _, r := range recordsAfter(t, db, 0) {
		k.expectNone(t, "decision record", r.Event)
	}
	for _, res := range k.told {
		k.expectNone(t, "an answer", res.raw)
	}
	e.Clock.Advance(time.Second)
	for name, content := range e.written(t) {
		k.expectNone(t, name, content)
	}
	if len(k.told) < 12 || len(k.secrets) < 30 {
		t.Errorf("the story has only %d refusals and %d secrets", len(k.told), len(k.secrets))
	}
	if files, err := os.ReadDir(e.Data); err != nil || len(files) > 6 {
		t.Errorf("got files %v that nobody looked into; %v", files, err)
	}
}

// tell is the story: everything that secrets can be sent to, well and badly.
func (k *keeper) tell(t *testing.T) {
	t.Helper()
	e, app := k.e, basic("photoz-app")
	password := []string{"grant_type", "password", "username", "bob"}
	k.post(t, tokenPath, app, append(password, "password", "Tr0ub4dor&3-wrong")...).expect(t, 400, "invalid_grant", "")
	k.post(t, tokenPath, credentials{}, append(password, "password", "bobs-passphrase-71", "client_id", "photoz-app", "client_secret", "sesame-open-wrong")...).expect(t, 401, "invalid_client", "")
	k.post(t, tokenPath, credentials{}, "grant_type", "client_credentials", "client_id", "plain-app", "client_secret", "plain-s3cret-of-its-own").expect(t, 401, "unauthorized_client", "")
	session := k.post(t, tokenPath, app, append(password, "password", "bobs-passphrase-71", "scope", "openid")...)
	access, refresh, id := session.str("access_token"), session.str("refresh_token"), session.str("id_token")
	bob := bearer(access)

	pat := e.service(t, "photoz-api")
	k.note(t, "PAT", pat.bearer)
	ticket := func(resource string, scopes ...string) string {
		res := e.send(t, "POST", permission, pat, perm{Resource: resource, Scopes: scopes})
		k.note(t, "ticket of "+resource, res.str("ticket"))
		return res.str("ticket")
	}
	e.create(t, map[string]any{"name": "Broken", "type": "broken", "resource_scopes": []string{"view"}})
	uma := func(as credentials, kv ...string) *response {
		return k.post(t, tokenPath, as, append([]string{"grant_type", umaGrant}, kv...)...)
	}
	first := ticket("Public board", "view")
	rpt := uma(bob, "ticket", first)
	rpt.expectGranted(t, "Public board: view")
	uma(bob, "ticket", first).expect(t, 403, "invalid_ticket", "")
	uma(bob, "ticket", ticket("Admin area", "view")).expect(t, 403, "access_denied", "")
	uma(bob, "ticket", ticket("Broken", "view")).expect(t, 503, "server_error", "")
	wants := uma(bob, "ticket", ticket("Bare"))
	wants.expect(t, 403, "need_info", "")
	uma(bob, "ticket", wants.str("ticket"), "claim_token", id, "claim_token_format", claimsID).expectGranted(t, "Bare")
	uma(bob, "ticket", ticket("Mixed"), "rpt", rpt.str("access_token"), "claim_token", access, "claim_token_format", claimsJWT)
	uma(app, "ticket", ticket("Public board"), "subject_token", access)
	uma(app, "ticket", ticket("Public board"), "claim_token", refresh).expect(t, 400, "unauthorized_client", "")
	uma(bob, "ticket", ticket("Public board"), "rpt", access[:len(access)-4]+"AAAA").expect(t, 403, "invalid_rpt", "")
	uma(bearer(rpt.str("access_token")+"x"), "ticket", ticket("Public board")).expect(t, 401, "invalid_grant", "")
	uma(bearer(refresh), "permission", "Public board", "audience", "photoz-api").expect(t, 401, "invalid_grant", "")
	uma(bob, "ticket", ticket("Public board"), "ticket", first).expect(t, 400, "invalid_request", "")
	uma(bob, "permission", first, "audience", "photoz-api", "response_mode", refresh).expect(t, 400, "invalid_request", "")

	again := k.post(t, tokenPath, app, "grant_type", "refresh_token", "refresh_token", rpt.str("refresh_token"))
	again.expectGranted(t, "Public board: view")
	for _, token := range []string{access, refresh, id, again.str("access_token"), first} {
		k.post(t, introspect, app, "token", token)
		k.post(t, introspect, app, "token", token, "token_type_hint", token[:20]).expect(t, 400, "invalid_request", "")
	}
	k.post(t, "/protocol/openid-connect/revoke", app, "token", again.str("access_token"))
	k.post(t, "/protocol/openid-connect/logout", app, "refresh_token", rpt.str("refresh_token")+"x").expect(t, 400, "invalid_grant", "")
	for path, query := range map[string][]string{
		tokenPath: {"ticket", first}, requests: {"access_token", access, "max", "few"}, resourceSet: {"name", refresh}, "/nowhere/" + first: {"token", access},
	} {
		res := e.get(t, path, pat, query...)
		if res.status >= 400 {
			k.told = append(k.told, res)
		}
	}
	k.post(t, tokenPath, app, "grant_type", "refresh_token", "refresh_token", rpt.str("refresh_token")).expect(t, 400, "invalid_grant", "") // ends the session
	k.post(t, tokenPath, app, "grant_type", "refresh_token", "refresh_token", refresh).expect(t, 400, "invalid_grant", "")
}

// expectNone fails where one of the secrets is.
func (k *keeper) expectNone(t *testing.T, where string, content []byte) {
	t.Helper()
	for what, secret := range k.secrets {
		if i := bytes.Index(content, []byte(secret)); i >= 0 {
			around := content[max(0, i-200):min(len(content), i+len(secret)+50)]
			t.Errorf("%s holds a %s:\n%s", where, what, around)
		}
	}
}
