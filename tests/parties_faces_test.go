package tests

import (
	"strings"
	"testing"
)

// TestForeignBearerOnFaces: the token endpoints of all faces but the legacy one take a bearer of
// a trusted issuer, and their introspection knows the party's RPT.
func TestForeignBearerOnFaces(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := start(t, photozTrusting(t, []*issuer{i}, nil))
	pat := bearer(e.newSignIn(t, "", "photoz-api", "uma_protection").str("access_token"))
	for name, face := range map[string]struct{ token, introspect string }{
		"keycloak": {e.base() + tokenPath, ""},
		"wso2":     {e.URL + "/t/photoz/oauth2/token", e.URL + "/t/photoz/oauth2/introspect"},
		"pingam":   {e.URL + "/oauth2/realms/root/realms/photoz/access_token", e.URL + "/oauth2/realms/root/realms/photoz/introspect"},
	} {
		ask := func(token string) *response {
			return e.do(t, request{method: "POST", url: face.token, as: bearer(token), form: form("grant_type", umaGrant, "ticket", boardTicket(t, e))})
		}
		res := ask(i.token(t, e, "u1", asUser))
		res.expectGranted(t, "Public board: view")
		rpt := payload(t, res.str("access_token"))
		if rpt["sub_id"] == nil || res.object()["refresh_token"] != nil {
			t.Errorf("%s: got %s", name, res)
		}
		if face.introspect != "" {
			got := e.do(t, request{method: "POST", url: face.introspect, as: pat, form: form("token", res.str("access_token"))})
			if got.object()["active"] != true {
				t.Errorf("%s: introspection got %s, want it active", name, got)
			}
			if name == "wso2" && (got.str("aut") != "APPLICATION_USER" || got.str("username") != "example/dana@photoz") {
				t.Errorf("%s: introspection got %s, want a user", name, got)
			}
			if id, _ := got.object()["sub_id"].(map[string]any); name == "wso2" && (id["iss"] != i.URL || id["sub"] != "u1") {
				t.Errorf("%s: introspection got %s, want its sub_id", name, got)
			}
		}
		for what, token := range map[string]string{
			"for somebody else": i.token(t, e, "u1", asUser.with(claims{"aud": "another-api"})),
			"opaque":            "0pAqUe-t0ken",
		} {
			if res := ask(token); res.status != 401 {
				t.Errorf("%s: a token that is %s: got %s, want 401", name, what, res)
			}
		}
	}
}

// TestForeignBearerOfUMA2: in a realm with the profile uma2 a bearer of a trusted issuer gets a
// party's RPT, of which introspection says nothing about the party. As `rpt` it is refused,
// though an RPT that is none is ignored there.
func TestForeignBearerOfUMA2(t *testing.T) {
	t.Parallel()
	i := exampleIssuer(t)
	e := strictly(t, func(o *options) {
		o.Realm = strings.Replace(o.Realm, "\nclients:\n", "\nissuers: ["+i.entry(t)+"]\nclients:\n", 1)
	})
	alice, as := e.patOf(t, "alice", "photoz-api"), bearer(i.token(t, e, "u1", asUser))
	open := e.register(t, alice, typed("open", "view"))
	res := e.uma(t, as, "ticket", e.strictTicket(t, alice, ask(open, "view")))
	res.expectGranted(t, open+": view")
	rpt := res.str("access_token")
	if payload(t, rpt)["sub_id"] == nil || res.object()["refresh_token"] != nil {
		t.Errorf("got %s with sub_id %v", res, payload(t, rpt)["sub_id"])
	}
	got := e.post(t, introspect, alice, "token", rpt).object()
	if got["active"] != true || got["permissions"] == nil || got["sub_id"] != nil || got["username"] != nil {
		t.Errorf("introspection: got %v, want its permissions and nothing about the party", got)
	}
	ticket := func() string { return e.strictTicket(t, alice, ask(open, "view")) }
	e.uma(t, as, "ticket", ticket(), "rpt", "garbage").expectGranted(t, open+": view")
	for what, res := range map[string]*response{
		"as rpt":               e.uma(t, as, "ticket", ticket(), "rpt", as.bearer),
		"as rpt of a client":   e.uma(t, basic("photoz-app"), "ticket", ticket(), "rpt", as.bearer),
		"for somebody else":    e.uma(t, bearer(i.token(t, e, "u1", asUser.with(claims{"aud": "another-api"}))), "ticket", ticket()),
		"as a PAT":             e.post(t, permission, as),
		"beside introspection": e.post(t, introspect, as, "token", rpt),
	} {
		if res.status != 401 {
			t.Errorf("%s: got %s, want 401", what, res)
		}
	}
}
