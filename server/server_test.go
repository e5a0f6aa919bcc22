package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

const (
	base     = "/realms/photoz"
	tokenURL = base + "/protocol/openid-connect/token"
	resSet   = base + "/authz/protection/resource_set"
	credsAPI = "grant_type=client_credentials&client_id=photoz-api&client_secret=secret"
)

func basicHeader(raw string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(raw))
}

func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	tests := []struct {
		name, form string
		headers    []string
		status     int
		code, desc string
	}{
		{"post", credsAPI, nil, 200, "", ""},
		{"basic", "grant_type=client_credentials", []string{"Authorization", basicHeader("photoz-api:secret")}, 200, "", ""},
		{"basic, escaped", "grant_type=client_credentials", []string{"Authorization", basicHeader("photoz%2Dapi:%73ecret")}, 200, "", ""},
		{"basic in another case", "grant_type=client_credentials", []string{"Authorization", strings.Replace(basicHeader("photoz-api:secret"), "Basic", "bASIC", 1)}, 200, "", ""},
		{"basic and the same id", "grant_type=client_credentials&client_id=photoz-api", []string{"Authorization", basicHeader("photoz-api:secret")}, 200, "", ""},
		{"basic and the same in the form", credsAPI, []string{"Authorization", basicHeader("photoz%2Dapi:%73ecret")}, 200, "", ""},
		{"a bearer token beside", credsAPI, []string{"Authorization", "Bearer x"}, 200, "", ""},
		{"basic and another id", "grant_type=client_credentials&client_id=photoz-web", []string{"Authorization", basicHeader("photoz-api:secret")}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"basic and another secret", credsAPI, []string{"Authorization", basicHeader("photoz-api:other")}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"two headers", credsAPI, []string{"Authorization", "Bearer x", "Authorization", "Bearer y"}, 400, "invalid_request", "more than one Authorization header"},
		{"wrong secret", "grant_type=client_credentials&client_id=photoz-api&client_secret=no", nil, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"no client", "grant_type=client_credentials", nil, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"garbled basic", "grant_type=client_credentials", []string{"Authorization", "Basic %%%"}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"no grant type", "client_id=photoz-web", nil, 400, "invalid_request", "Missing form parameter: grant_type"},
		{"no body", "", nil, 400, "invalid_request", "Missing form parameter: grant_type"},
		{"unknown grant type", "grant_type=urn:x&client_id=photoz-web", nil, 400, "unsupported_grant_type", "Unsupported grant_type"},
		{"grant type twice", "grant_type=client_credentials&" + credsAPI, nil, 400, "invalid_request", "duplicated parameter: grant_type"},
		{"permission twice", credsAPI + "&permission=a&permission=b", nil, 400, "invalid_request", "duplicated parameter: permission"},
		{"no refresh token", "grant_type=refresh_token&client_id=photoz-web", nil, 400, "invalid_request", "No refresh token"},
		{"bad refresh token", "grant_type=refresh_token&client_id=photoz-web&refresh_token=x", nil, 400, "invalid_grant", "Invalid refresh token"},
		{"a public client for itself", "grant_type=client_credentials&client_id=photoz-web", nil, 401, "unauthorized_client", "Public client not allowed to retrieve service account"},
		{"a client without the password grant", strings.Replace(credsAPI, "client_credentials", "password", 1), nil, 401, "unauthorized_client", "Client not allowed for direct access grants"},
		{"no username", "grant_type=password&client_id=photoz-web&password=x", nil, 400, "invalid_request", "Missing parameter: username"},
		{"bad bearer", "grant_type=" + umaTicket, []string{"Authorization", "Bearer x"}, 401, "invalid_grant", "Invalid bearer token"},
		{"empty bearer", "grant_type=" + umaTicket, []string{"Authorization", "Bearer"}, 401, "invalid_grant", "Invalid bearer token"},
		{"parse before all else", "grant_type=" + umaTicket + "&permission=%23", nil, 400, "invalid_request", "permission has an empty scope"},
		{"quotes do not get out", "grant_type=client_credentials&a%22%0d%0ab=1&a%22%0d%0ab=2", nil, 400, "invalid_request", "duplicated parameter: a'??b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := e.post(t, tokenURL, tt.form, tt.headers...)
			if got.status != tt.status || got.member("error") != tt.code || got.member("error_description") != tt.desc {
				t.Errorf("got %d %s, want %d %s %q", got.status, got.body, tt.status, tt.code, tt.desc)
			}
			if cc, p := got.header.Get("Cache-Control"), got.header.Get("Pragma"); cc != "no-store" || p != "no-cache" {
				t.Errorf("got Cache-Control %q, Pragma %q", cc, p)
			}
			if ct := got.header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("got Content-Type %q", ct)
			}
			challenge := tt.status == 401 && len(tt.headers) > 0 && strings.HasPrefix(strings.ToLower(tt.headers[1]), "basic")
			if got := got.header.Get("WWW-Authenticate"); (got != "") != challenge {
				t.Errorf("got WWW-Authenticate %q", got)
			}
		})
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	tests := []struct {
		name, path, body string
		headers          []string
		status           int
	}{
		{"charset", tokenURL, credsAPI, []string{"Content-Type", formType + ";charset=UTF-8"}, 200},
		{"type in another case", tokenURL, credsAPI, []string{"Content-Type", "Application/X-WWW-Form-Urlencoded"}, 200},
		{"query is not looked at", tokenURL + "?" + credsAPI, "", []string{"Content-Type", formType}, 400},
		{"JSON", tokenURL, `{"grant_type":"client_credentials"}`, []string{"Content-Type", "application/json"}, 415},
		{"no type", tokenURL, credsAPI, nil, 415},
		{"multipart", tokenURL, credsAPI, []string{"Content-Type", "multipart/form-data; boundary=x"}, 415},
		{"no type in the header", tokenURL, credsAPI, []string{"Content-Type", "; charset=utf-8"}, 415},
		{"types separated by a comma", tokenURL, credsAPI, []string{"Content-Type", formType + ", application/json"}, 415},
		{"another charset", tokenURL, credsAPI, []string{"Content-Type", formType + ";charset=utf-16"}, 415},
		{"UTF-8 by another name", tokenURL, credsAPI, []string{"Content-Type", formType + ";charset=utf8"}, 200},
		{"ASCII as Latin-1", tokenURL, credsAPI, []string{"Content-Type", formType + "; charset=ISO-8859-1"}, 200},
		{"ASCII as ASCII", tokenURL, credsAPI, []string{"Content-Type", formType + "; charset=us-ascii"}, 200},
		{"UTF-8 said to be Latin-1", tokenURL, credsAPI + "&note=\u00e9", []string{"Content-Type", formType + "; charset=ISO-8859-1"}, 415},
		{"Latin-1", tokenURL, credsAPI + "&note=\xe9", []string{"Content-Type", formType + "; charset=ISO-8859-1"}, 415},
		{"Latin-1, percent-encoded", tokenURL, credsAPI + "&note=%E9", []string{"Content-Type", formType + "; charset=ISO-8859-1"}, 400},
		{"UTF-8, percent-encoded", tokenURL, credsAPI + "&note=%C3%A9", []string{"Content-Type", formType + "; charset=ISO-8859-1"}, 200},
		{"charset twice", tokenURL, credsAPI, []string{"Content-Type", formType + "; charset=utf-8; charset=utf-16"}, 415},
		{"quoted charset", tokenURL, credsAPI, []string{"Content-Type", formType + `; charset="UTF-8"`}, 200},
		{"two types", tokenURL, credsAPI, []string{"Content-Type", formType, "Content-Type", "application/json"}, 400},
		{"a type twice", tokenURL, credsAPI, []string{"Content-Type", formType, "Content-Type", formType}, 400},
		{"large", tokenURL, "a=" + strings.Repeat("x", 64<<10), []string{"Content-Type", formType}, 413},
		{"gzip", tokenURL, credsAPI, []string{"Content-Type", formType, "Content-Encoding", "gzip"}, 415},
		{"identity", tokenURL, credsAPI, []string{"Content-Type", formType, "Content-Encoding", "identity"}, 200},
		{"two encodings", tokenURL, credsAPI, []string{"Content-Type", formType, "Content-Encoding", "identity", "Content-Encoding", "gzip"}, 400},
		{"encodings separated by a comma", tokenURL, credsAPI, []string{"Content-Type", formType, "Content-Encoding", "identity, gzip"}, 415},
		{"large JSON", resSet, `"` + strings.Repeat("x", 1<<20) + `"`, []string{"Content-Type", "application/json", "Authorization", "Bearer token-of-photoz-api"}, 413},
		{"form as JSON", resSet, "name=x", []string{"Content-Type", formType, "Authorization", "Bearer token-of-photoz-api"}, 415},
		{"JSON in another charset", resSet, "{}", []string{"Content-Type", "application/json; charset=ibm037", "Authorization", "Bearer token-of-photoz-api"}, 415},
		{"half JSON", resSet, "{", []string{"Content-Type", "application/json", "Authorization", "Bearer token-of-photoz-api"}, 400},
		{"who asks comes first", resSet, "{", []string{"Content-Type", "application/json"}, 403},
		{"no role", resSet, "{", []string{"Content-Type", "application/json", "Authorization", "Bearer token-of-photoz-web"}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := e.do(t, "POST", tt.path, tt.body, tt.headers...)
			if got.status != tt.status {
				t.Errorf("got %d %s, want %d", got.status, got.body, tt.status)
			}
			if tt.status >= 400 && got.member("error") == "" {
				t.Errorf("got body %q", got.body)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	tests := []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", base, 200, "", ""},
		{"GET", base + "/", 200, "", ""},
		{"HEAD", base, 200, "", ""},
		{"GET", "/auth" + base, 200, "", ""},
		{"GET", base + "/protocol/openid-connect/certs?kid=x", 200, "", ""},
		{"GET", base + "/.well-known/openid-configuration", 200, "", ""},
		{"GET", "/auth" + base + "/.well-known/uma2-configuration", 200, "", ""},
		{"GET", "/.well-known/uma2-configuration", 200, "", ""},
		{"GET", "/.well-known/openid-configuration", 200, "", ""},
		{"GET", "/.well-known/oauth-authorization-server", 200, "", ""},
		{"GET", "/.well-known/oauth-authorization-server/realms/photoz", 200, "", ""},
		{"GET", "/.well-known/oauth-authorization-server/auth/realms/photoz", 200, "", ""},
		{"GET", tokenURL, 405, "unsupported_method_type", "OPTIONS, POST"},
		{"HEAD", tokenURL, 405, "", "OPTIONS, POST"},
		{"PATCH", resSet + "/x", 405, "unsupported_method_type", "OPTIONS, DELETE, GET, HEAD, PUT"},
		{"GET", base + "/authz/protection/permission", 405, "unsupported_method_type", "OPTIONS, POST"},
		{"GET", base + "/authz/entitlement/photoz-api", 403, "invalid_bearer_token", ""},
		{"PUT", base + "/authz/entitlement/photoz-api", 405, "", "OPTIONS, GET, POST"},
		{"GET", "/nothing", 404, "not_found", ""},
		{"GET", "/realms/timed/nothing", 404, "not_found", ""}, // not 500: what no route is for has a deadline too
		{"PUT", "/realms/timed/protocol/openid-connect/token", 405, "unsupported_method_type", "OPTIONS, POST"},
		{"GET", "/realms/ghost", 404, "Realm does not exist", ""},
		{"GET", "/realms/ghost/nothing/here", 404, "Realm does not exist", ""},
		{"GET", "/auth/realms/ghost/protocol/openid-connect/token", 404, "Realm does not exist", ""},
		{"POST", "/realms/ghost/protocol/openid-connect/token", 404, "Realm does not exist", ""},
		{"GET", "/realms//protocol/openid-connect/certs", 404, "Realm does not exist", ""},
		{"GET", "/realms/Photoz", 404, "Realm does not exist", ""},
		{"GET", "/realms/photo%7A", 200, "", ""},
		{"GET", "/realms/%2e%2e%2fphotoz", 404, "Realm does not exist", ""},
		{"GET", "/realms/off", 403, "access_denied", ""},
		{"GET", "/realms/broken", 500, "server_error", ""},
		{"GET", resSet + "/a%2Fb", 403, "invalid_bearer_token", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			got := e.do(t, tt.method, tt.path, "")
			if got.status != tt.status || got.member("error") != tt.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, tt.status, tt.code)
			}
			if allow := got.header.Get("Allow"); allow != tt.allow {
				t.Errorf("got Allow %q, want %q", allow, tt.allow)
			}
			if strings.Contains(got.body, "/var/lib") {
				t.Errorf("says what is inside: %s", got.body)
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	doc := e.do(t, "GET", "/.well-known/uma2-configuration", "", "Host", "evil.example", "X-Forwarded-Host", "evil.example")
	for name, want := range map[string]string{
		"issuer":                                issuer,
		"token_endpoint":                        issuer + "/protocol/openid-connect/token",
		"introspection_endpoint":                issuer + "/protocol/openid-connect/token/introspect",
		"revocation_endpoint":                   issuer + "/protocol/openid-connect/revoke",
		"userinfo_endpoint":                     issuer + "/protocol/openid-connect/userinfo",
		"end_session_endpoint":                  issuer + "/protocol/openid-connect/logout",
		"jwks_uri":                              issuer + "/protocol/openid-connect/certs",
		"resource_registration_endpoint":        issuer + "/authz/protection/resource_set",
		"permission_endpoint":                   issuer + "/authz/protection/permission",
		"response_types_supported":              "[none]",
		"id_token_signing_alg_values_supported": "[ES256]",
		"policy_endpoint":                       issuer + "/authz/protection/uma-policy",
		"authorization_endpoint":                "",
	} {
		if got := doc.member(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := e.do(t, "GET", base+"/.well-known/openid-configuration", "").member("permission_endpoint"); got != "" {
		t.Errorf("openid-configuration: got permission_endpoint %q", got)
	}
	info := e.do(t, "GET", base, "")
	if want := `{"realm":"photoz","public_key":"cnNh","token-service":"` + issuer + `/protocol/openid-connect","account-service":"` + issuer + `/account","tokens-not-before":0}`; info.body != want {
		t.Errorf("got %s, want %s", info.body, want)
	}
}

func TestBearerChallenges(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	const userinfo = base + "/protocol/openid-connect/userinfo"
	for name, tt := range map[string]struct {
		headers []string
		status  int
		want    string
	}{
		"no token":  {nil, 401, `Bearer realm="photoz"`},
		"bad token": {[]string{"Authorization", "bearer x"}, 401, `Bearer realm="photoz", error="invalid_token", error_description="Token verification failed"`},
		"no scope":  {[]string{"Authorization", "Bearer token-of-photoz-api"}, 403, `Bearer realm="photoz", error="insufficient_scope", error_description="Missing openid scope"`},
	} {
		got := e.do(t, "GET", userinfo, "", tt.headers...)
		if challenge := got.header.Get("WWW-Authenticate"); got.status != tt.status || challenge != tt.want {
			t.Errorf("%s: got %d %s", name, got.status, challenge)
		}
	}
}

func TestCORS(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	const own, other, foreign = "https://api.example.com", "http://localhost:3000", "https://evil.example"
	tests := []struct {
		name, method, path, form, origin string
		status                           int
		allow                            string
	}{
		{"own page", "POST", tokenURL, credsAPI, own, 200, own},
		{"own page, refused after authentication", "POST", tokenURL, "grant_type=refresh_token&client_id=photoz-web&refresh_token=x", other, 400, other},
		{"another client's page", "POST", tokenURL, credsAPI, other, 200, ""},
		{"foreign page", "POST", tokenURL, credsAPI, foreign, 403, ""},
		{"page without an origin", "POST", tokenURL, credsAPI, "null", 403, ""},
		{"the server's own page", "POST", tokenURL, credsAPI, "https://as.example.com", 200, ""},
		{"a host that begins like it", "POST", tokenURL, credsAPI, "https://as.example.co", 403, ""},
		{"wrong secret", "POST", tokenURL, credsAPI + "x", own, 401, ""},
		{"foreign page elsewhere", "POST", base + "/protocol/openid-connect/revoke", "client_id=photoz-web&token=x", foreign, 200, ""},
		{"own page elsewhere", "POST", base + "/protocol/openid-connect/revoke", "client_id=photoz-web&token=x", other, 200, other},
		{"public", "GET", base + "/protocol/openid-connect/certs", "", foreign, 200, "*"},
		{"public, refused", "GET", "/realms/ghost", "", foreign, 404, "*"},
		{"preflight", "OPTIONS", tokenURL, "", other, 204, other},
		{"preflight at the protection API", "OPTIONS", resSet, "", own, 204, own},
		{"foreign preflight", "OPTIONS", tokenURL, "", foreign, 204, ""},
		{"public preflight", "OPTIONS", "/.well-known/uma2-configuration", "", foreign, 204, "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := e.do(t, tt.method, tt.path, tt.form, "Content-Type", formType, "Origin", tt.origin)
			h := got.header
			if allow := h.Get("Access-Control-Allow-Origin"); got.status != tt.status || allow != tt.allow {
				t.Errorf("got %d, origin %q; want %d, %q", got.status, allow, tt.status, tt.allow)
			}
			credentials := ""
			if tt.allow != "" && tt.allow != "*" {
				credentials = "true"
			}
			if c := h.Get("Access-Control-Allow-Credentials"); c != credentials {
				t.Errorf("got Allow-Credentials %q, want %q", c, credentials)
			}
			if vary := h.Get("Vary"); (vary == "Origin") != (tt.allow != "*") {
				t.Errorf("got Vary %q", vary)
			}
			preflight := tt.method == "OPTIONS" && tt.allow != ""
			if a := h.Get("Access-Control-Allow-Headers"); strings.Contains(a, "Authorization") != preflight {
				t.Errorf("got Allow-Headers %q", a)
			}
		})
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	var many []*uma.Resource
	for i := range 5_000 {
		many = append(many, &uma.Resource{ID: uma.ResourceID(fmt.Sprintf("%08d", i)), Name: "r", Owner: "u"})
	}
	list := func(store fakeStore) *answer {
		return start(t, store).do(t, "GET", resSet, "", "Authorization", "Bearer token-of-photoz-api")
	}
	if got := list(fakeStore{}); got.status != 200 || got.body != "[]" {
		t.Errorf("nothing: got %d %s", got.status, got.body)
	}
	if got := list(fakeStore{resources: many[:2]}); got.status != 200 || got.body != `["00000000","00000001"]` {
		t.Errorf("two: got %d %s", got.status, got.body)
	}
	if got := list(fakeStore{resources: many}); got.status != 200 || got.err != nil || len(got.body) != 5_000*11+1 {
		t.Errorf("many: got %d, %d bytes, %v", got.status, len(got.body), got.err)
	}
	broken := errors.New("the disk is gone")
	if got := list(fakeStore{resources: many[:2], broken: broken}); got.status != 500 || got.member("error") != "server_error" {
		t.Errorf("failing early: got %d %s", got.status, got.body)
	}
	// Half a list must not look like a whole one.
	if got := list(fakeStore{resources: many, broken: broken}); got.err == nil || strings.HasSuffix(got.body, "]") {
		t.Errorf("failing late: got %d, %d bytes and no error", got.status, len(got.body))
	}
	if got := list(fakeStore{views: uma.ErrBusy}); got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("busy: got %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if got := start(t, fakeStore{}).do(t, "GET", resSet+"?max=x", "", "Authorization", "Bearer token-of-photoz-api"); got.status != 400 {
		t.Errorf("max=x: got %d %s", got.status, got.body)
	}
}

func TestIdentifiersAndLog(t *testing.T) {
	t.Parallel()
	e := start(t, fakeStore{})
	got := e.post(t, tokenURL+"?access_token=in-the-query", credsAPI, "X-Request-Id", "req-1.a_B", "X-Forwarded-For", "192.0.2.9, 203.0.113.7",
		"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if id := got.header.Get("X-Request-Id"); id != "req-1.a_B" {
		t.Errorf("got request id %q", id)
	}
	if made := e.post(t, tokenURL, credsAPI, "X-Request-Id", "with blanks").header.Get("X-Request-Id"); len(made) != 32 {
		t.Errorf("got request id %q", made)
	}
	e.post(t, tokenURL, "grant_type=client_credentials&client_id=photoz-api&client_secret=guess")
	e.do(t, "GET", resSet, "", "Authorization", "Bearer not-a-good-token")
	e.do(t, "GET", "/realms/broken", "")
	log := e.log.String()
	for _, want := range []string{
		`"request_id":"req-1.a_B"`, `"route":"/realms/:realm/protocol/openid-connect/token"`, `"client":"photoz-api"`, `"status":200`,
		`"ip":"203.0.113.7"`, `"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"`, `"refused":"invalid_client"`, "disk I/O error",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s:\n%s", want, log)
		}
	}
	for _, secret := range []string{"in-the-query", "secret=", "guess", "not-a-good-token", "token-of-"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q:\n%s", secret, log)
		}
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for parent, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01": id,
		"":                                  "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":  "",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7": "",
		"00-" + strings.Repeat("0", 32) + "-0-01":             "",
		"00-" + id[1:] + "-00f067aa0ba902b7-01":               "",
	} {
		if got := traceID(parent); got != want {
			t.Errorf("%q: got %q, want %q", parent, got, want)
		}
	}
}
