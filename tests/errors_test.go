package tests

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// TestGrantErrors holds each of Keycloak's refusals that design §7 leaves as it
// is.
func TestGrantErrors(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-web")
	tests := []struct {
		name        string
		ask         []string // form parameters besides grant_type
		status      int
		code        string
		description string
	}{
		{"ticket not decodable", []string{"ticket", "garbage"}, 403, "invalid_ticket", "Ticket verification failed"},
		{"rpt not decodable", []string{"rpt", "x.y.z", "permission", "Public board", "audience", "photoz-api"}, 403, "invalid_rpt", "RPT signature is invalid"},
		{"no audience, no ticket", []string{"permission", "Public board"}, 400, "invalid_request", "You must provide the issuedFor"},
		{"unknown resource server", []string{"permission", "Public board", "audience", "nobody"}, 400, "invalid_request", "Unknown resource server id: [nobody]"},
		{"client is no resource server", []string{"permission", "Public board", "audience", "plain-app"}, 400, "invalid_request", "Client does not support permissions"},
		{"none of the requested scopes exists", []string{"permission", "Public board#fly", "audience", "photoz-api"}, 400, "invalid_scope", "One of the given scopes [fly] is invalid"},
		{"none of several requested scopes exists", []string{"permission", "Public board#fly,swim", "audience", "photoz-api"}, 400, "invalid_scope", "One of the given scopes [fly, swim] is invalid"},
		{"nothing resolved", []string{"permission", "Nothing here", "audience", "photoz-api"}, 400, "invalid_resource", "Resource with id [Nothing here] does not exist."},
		{"uri format: no match", []string{"permission", "/nowhere", "audience", "photoz-api", "permission_resource_format", "uri"}, 400, "invalid_resource", "Resource with uri [/nowhere] does not exist."},
		{"bad response_mode, granted", []string{"permission", "Public board", "audience", "photoz-api", "response_mode", "xml"}, 400, "invalid_request", "Invalid response_mode"},
		{"bad response_mode, denied", []string{"permission", "Admin area", "audience", "photoz-api", "response_mode", "xml"}, 400, "invalid_request", "Invalid response_mode"}, // Keycloak looks only when it grants
		{"denied without a ticket", []string{"permission", "Admin area", "audience", "photoz-api"}, 403, "access_denied", "not_authorized"},
		{"denied without a ticket, submit_request=true", []string{"permission", "Admin area", "audience", "photoz-api", "submit_request", "true"}, 403, "access_denied", "not_authorized"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := e.post(t, tokenPath, bob, append([]string{"grant_type", umaGrant}, tc.ask...)...)
			res.expect(t, tc.status, tc.code, tc.description)
			wellFormed(t, res)
		})
	}

	t.Run("ticket expired", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		ticket := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})
		e.Clock.Advance(121 * time.Second)
		e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket).expect(t, 403, "invalid_ticket", "Ticket verification failed")
	})

	t.Run("denied with a ticket for an owner-managed resource", func(t *testing.T) {
		t.Parallel()
		e := start(t)
		ticket := e.ticket(t, perm{Resource: e.resourceID(t, "Holiday album"), Scopes: []string{"view"}})
		res := e.uma(t, e.as(t, "bob", "photoz-web"), "ticket", ticket)
		res.expect(t, 403, "access_denied", "request_submitted")
		wellFormed(t, res)
	})

	t.Run("denied with a ticket for any other", func(t *testing.T) {
		t.Parallel()
		ticket := e.ticket(t, perm{Resource: "Admin area", Scopes: []string{"view"}})
		res := e.uma(t, bob, "ticket", ticket)
		res.expect(t, 403, "access_denied", "request_denied")
		wellFormed(t, res)
	})
}

// wellFormed checks what every answer of the token endpoint has: JSON that no
// cache keeps, and in an error nothing but its two members.
func wellFormed(t *testing.T, res *response) {
	t.Helper()
	if got := res.header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("got Content-Type %q, want application/json", got)
	}
	if got := res.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", got)
	}
	if res.str("error") == "" {
		return
	}
	for name := range maps.Keys(res.object()) {
		if name != "error" && name != "error_description" {
			t.Errorf("got member %s beside the error", name)
		}
	}
}

// TestEmptyIsNotAll: a parameter that is there but empty or unreadable is
// refused by its name, never taken for "any" (design §4).
func TestEmptyIsNotAll(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-web")
	board := []string{"permission", "Public board#view", "audience", "photoz-api"}
	with := func(kv ...string) []string { return append(kv, board...) }

	refused := []struct {
		param, value string
		ask          []string
		app          bool // asked by a confidential client, as itself
	}{
		{param: "permission", value: "", ask: []string{"permission", "", "audience", "photoz-api"}},
		{param: "permission", value: "#", ask: []string{"permission", "#", "audience", "photoz-api"}},
		{param: "permission", value: "#,", ask: []string{"permission", "#,", "audience", "photoz-api"}},
		{param: "permission", value: "# ", ask: []string{"permission", "# ", "audience", "photoz-api"}},
		{param: "permission", value: " beside a good one", ask: with("permission", "")},
		{param: "permission", value: " by uri", ask: []string{"permission", "", "audience", "photoz-api", "permission_resource_format", "uri"}},
		{param: "permission_resource_format", value: "", ask: with("permission_resource_format", "")},
		{param: "permission_resource_format", value: "name", ask: with("permission_resource_format", "name")},
		{param: "permission_resource_matching_uri", value: "", ask: with("permission_resource_matching_uri", "")},
		{param: "permission_resource_matching_uri", value: "yes", ask: with("permission_resource_matching_uri", "yes")},
		{param: "subject_token", value: "", ask: with("subject_token", ""), app: true},
		{param: "claim_token", value: "", ask: with("claim_token", "", "claim_token_format", claimsJWT), app: true},
		{param: "response_include_resource_name", value: "", ask: with("response_include_resource_name", "")},
		{param: "response_include_resource_name", value: "no", ask: with("response_include_resource_name", "no")},
		{param: "submit_request", value: "", ask: with("submit_request", "")},
		{param: "submit_request", value: "0", ask: with("submit_request", "0")},
		{param: "response_permissions_limit", value: "", ask: with("response_permissions_limit", "")},
		{param: "response_permissions_limit", value: "many", ask: with("response_permissions_limit", "many")},
		{param: "response_permissions_limit", value: "1.5", ask: with("response_permissions_limit", "1.5")},
		{param: "response_permissions_limit", value: "99999999999999999999", ask: with("response_permissions_limit", "99999999999999999999")},
	}
	for _, tc := range refused {
		t.Run(tc.param+"="+tc.value, func(t *testing.T) {
			t.Parallel()
			as := bob
			if tc.app {
				as = basic("photoz-app")
			}
			res := e.post(t, tokenPath, as, append([]string{"grant_type", umaGrant}, tc.ask...)...)
			res.expect(t, 400, "invalid_request", "")
			if got := res.str("error_description"); !strings.Contains(got, tc.param) {
				t.Errorf("got error_description %q, want the name %s in it", got, tc.param)
			}
			wellFormed(t, res)
		})
	}

	// An unusable ticket or rpt is refused in its own words.
	t.Run("ticket=", func(t *testing.T) {
		t.Parallel()
		if res := e.uma(t, bob, "ticket", ""); res.status != 400 && res.status != 403 {
			t.Errorf("got %s, want a refusal", res)
		}
	})
	t.Run("ticket= beside permissions", func(t *testing.T) {
		t.Parallel()
		if res := e.uma(t, bob, with("ticket", "")...); res.status != 400 && res.status != 403 {
			t.Errorf("got %s, want a refusal", res)
		}
	})
	t.Run("rpt=", func(t *testing.T) {
		t.Parallel()
		if res := e.uma(t, bob, with("rpt", "")...); res.status != 400 && res.status != 403 {
			t.Errorf("got %s, want a refusal", res)
		}
	})

	// Other empty or unknown parameters are ignored: real clients send them.
	ignored := [][]string{
		{"username", "", "password", "", "code", "", "redirect_uri", ""},
		{"scope", ""}, {"scope", "openid"}, {"pct", ""}, {"response_type", "token"}, {"claimToken", "[object Object]"},
		{"response_mode", ""}, {"client_id", "nobody"}, {"nonsense", "x"},
	}
	for _, kv := range ignored {
		t.Run("ignored: "+strings.Join(kv, " "), func(t *testing.T) {
			t.Parallel()
			e.uma(t, bob, with(kv...)...).expectGranted(t, "Public board: view")
		})
	}
}

// TestTokenEndpointErrors holds what the token endpoint says before any grant.
func TestTokenEndpointErrors(t *testing.T) {
	t.Parallel()
	e := start(t)
	bob := e.as(t, "bob", "photoz-web")
	tests := []struct {
		name        string
		as          credentials
		ask         []string
		status      int
		code        string
		description string
	}{
		{"no grant_type", bob, []string{"audience", "photoz-api"}, 400, "invalid_request", "Missing form parameter: grant_type"},
		{"unknown grant", basic("photoz-app"), []string{"grant_type", "urn:x"}, 400, "unsupported_grant_type", "Unsupported grant_type"},
		{"bad bearer", bearer("garbage"), []string{"grant_type", umaGrant, "audience", "photoz-api"}, 401, "invalid_grant", "Invalid bearer token"},
		{"no credentials", credentials{}, []string{"grant_type", umaGrant, "audience", "photoz-api"}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"wrong secret", credentials{}, []string{"grant_type", umaGrant, "client_id", "photoz-app", "client_secret", "no"}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"unknown client", credentials{}, []string{"grant_type", umaGrant, "client_id", "ghost", "client_secret", "no"}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"a confidential client without its secret", credentials{}, []string{"grant_type", umaGrant, "client_id", "photoz-app"}, 401, "invalid_client", "Invalid client or Invalid client credentials"},
		{"public client that pushes claims", bob, []string{"grant_type", umaGrant, "audience", "photoz-api", "claim_token", "e30", "claim_token_format", claimsJWT}, 403, "invalid_grant", "Public clients are not allowed to send claims"},
		{"unsupported claim token format", basic("photoz-app"), []string{"grant_type", umaGrant, "audience", "photoz-api", "claim_token", "x", "claim_token_format", "urn:x"}, 400, "invalid_request", "Claim token format [urn:x] not supported"},
		{"the format of an ID token, and no token", basic("photoz-app"), []string{"grant_type", umaGrant, "audience", "photoz-api", "claim_token_format", claimsID}, 400, "invalid_request", "claim_token is missing: claim_token_format announces one that says who asks"},
		{"the format of an ID token, with https, and no token", basic("photoz-app"), []string{"grant_type", umaGrant, "ticket", "x", "claim_token_format", claimsIDTLS}, 400, "invalid_request", "claim_token is missing: claim_token_format announces one that says who asks"},
		{"an unknown format, and no token", basic("photoz-app"), []string{"grant_type", umaGrant, "audience", "photoz-api", "claim_token_format", "urn:x"}, 400, "invalid_request", "claim_token is missing: claim_token_format announces one that says who asks"},
		{"claims that are no JSON", basic("photoz-app"), []string{"grant_type", umaGrant, "audience", "photoz-api", "claim_token", "%%%", "claim_token_format", claimsJWT}, 400, "invalid_request", "Invalid claims"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := e.post(t, tokenPath, tc.as, tc.ask...)
			res.expect(t, tc.status, tc.code, tc.description)
			wellFormed(t, res)
		})
	}

	// RFC 6749 §3.2: parameters come once and in the body.
	for _, name := range []string{"audience", "ticket", "rpt", "response_mode", "claim_token"} {
		t.Run("repeated "+name, func(t *testing.T) {
			t.Parallel()
			e.uma(t, bob, "permission", "Public board", name, "photoz-api", name, "photoz-api").expect(t, 400, "invalid_request", "")
		})
	}
	t.Run("parameters in the query", func(t *testing.T) {
		t.Parallel()
		query := looseQuery("grant_type=" + umaGrant + "&permission=Public board&audience=photoz-api")
		res := e.do(t, request{method: "POST", url: tokenPath, as: bob, query: query, form: pairs{}})
		if res.status < 400 || res.str("access_token") != "" {
			t.Errorf("got %s, want a refusal", res)
		}
	})
	t.Run("credentials in the query", func(t *testing.T) {
		t.Parallel()
		query := looseQuery("client_id=photoz-app&client_secret=app-secret")
		res := e.do(t, request{method: "POST", url: tokenPath, query: query, form: form("grant_type", "client_credentials")})
		if res.status < 400 || res.str("access_token") != "" {
			t.Errorf("got %s, want a refusal", res)
		}
	})
	t.Run("a realm that nobody has", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"", tokenPath, "/.well-known/uma2-configuration", resourceSet} {
			res := e.do(t, request{method: "GET", url: e.URL + "/realms/nobody" + path})
			if res.status != 404 || res.str("error") != "Realm does not exist" {
				t.Errorf("%s: got %s, want 404 Realm does not exist", path, res)
			}
		}
	})
}

// TestMaxPermissions: a request for too much is refused in the name of the
// setting, never cut in silence (design §4).
func TestMaxPermissions(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil, "policy: {bundle: ./policies, grant: partial}", "policy: {bundle: ./policies, grant: partial, max_permissions: 2}"))
	bob := e.as(t, "bob", "photoz-web")
	tests := []struct {
		name string
		ask  []string
		want int // permissions; 0: refused
	}{
		{"as many as allowed", []string{"permission", "Public board", "permission", "Bare"}, 2},
		{"one too many", []string{"permission", "Public board", "permission", "Bare", "permission", "Mixed"}, 0},
		{"too many entitlements", nil, 0},
		{"the client's own limit cuts first", []string{"permission", "Public board", "permission", "Bare", "permission", "Mixed", "response_permissions_limit", "2"}, 2},
		{"URIs, which are looked up before", []string{"permission", "/board", "permission", "/bare", "permission", "/mixed/1", "response_permissions_limit", "2", "permission_resource_format", "uri"}, 0},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			res := e.uma(t, bob, append(tc.ask, "response_mode", "permissions")...)
			if tc.want == 0 {
				res.expect(t, 400, "invalid_request", "")
				if !strings.Contains(res.str("error_description"), "max_permissions") {
					t.Errorf("got error_description %q, want the name of the setting in it", res.str("error_description"))
				}
				return
			}
			if got := len(asList(res.json)); got != tc.want {
				t.Errorf("got %s, want %d permissions", res, tc.want)
			}
		})
	}
}

// TestAllOrNothing: with policy.grant all_or_nothing, what is missing of what
// was named is a refusal; a search stays partial (design §4, "The answer").
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, nil, "grant: partial", "grant: all_or_nothing"))
	bob := e.as(t, "bob", "photoz-web")
	tests := []struct {
		name   string
		ask    []string
		ticket []perm
		want   []string // nil: refused
	}{
		{"everything granted", []string{"permission", "Public board", "permission", "Mixed#read"}, nil, []string{"Public board: view post", "Mixed: read"}},
		{"a scope missing", []string{"permission", "Mixed#read,write"}, nil, nil},
		{"a scope of a bare name missing", []string{"permission", "Mixed"}, nil, nil},
		{"a resource missing", []string{"permission", "Public board", "permission", "Admin area"}, nil, nil},
		{"by URI, a scope missing", []string{"permission", "/mixed/9", "permission_resource_format", "uri", "permission_resource_matching_uri", "true"}, nil, nil},
		{"a scope alone stays partial", []string{"permission", "#view"}, nil, []string{"Public board: view"}},
		{"a type stays partial", []string{"permission", "resource-type:mixed"}, nil, []string{"Mixed: read"}},
		{"all entitlements stay partial", nil, nil, []string{"Bare", "Mixed: read", "Public board: view post"}},
		{"what the limit cuts off is missing", []string{"permission", "Public board", "permission", "Admin area", "response_permissions_limit", "1"}, nil, nil},
		{"what the limit cuts off is missing, granted or not", []string{"permission", "Public board", "permission", "Mixed#read", "response_permissions_limit", "1"}, nil, nil},
		{"a decision of a part, by a limit", []string{"permission", "Public board", "permission", "Admin area", "response_permissions_limit", "1", "response_mode", "decision"}, nil, nil},
		{"a limit that cuts nothing off", []string{"permission", "Public board", "permission", "Mixed#read", "response_permissions_limit", "2"}, nil, []string{"Public board: view post", "Mixed: read"}},
		{"a resource named twice is one for the limit", []string{"permission", "Public board#view", "permission", "Public board#post", "response_permissions_limit", "1"}, nil, []string{"Public board: view post"}},
		{"a name of nothing is missing", []string{"permission", "Public board#view", "permission", "Nothing"}, nil, nil},
		{"a name of nothing of theirs is missing", []string{"permission", "Public board#view", "permission", "Diary#delete"}, nil, nil},
		{"a decision, beside a name of nothing", []string{"permission", "Public board#view", "permission", "Nothing", "response_mode", "decision"}, nil, nil},
		{"a resource without the scope asked for is missing", []string{"permission", "Public board#view", "permission", "Bare#download"}, nil, nil},
		{"an unknown scope is missing", []string{"permission", "Public board#view,fly"}, nil, nil},
		{"a scope of other resources is missing", []string{"permission", "Public board#view,manage"}, nil, nil},
		{"by URI, a scope that is not there", []string{"permission", "/board#view,manage", "permission_resource_format", "uri"}, nil, nil},
		{"a scope of the parameter harms nothing", []string{"permission", "Public board#view", "scope", "openid manage"}, nil, []string{"Public board: view"}},
		{"a type of nothing stays partial", []string{"permission", "Public board#view", "permission", "resource-type:none"}, nil, []string{"Public board: view"}},
		{"a ticket that the limit cuts", []string{"response_permissions_limit", "1"}, []perm{{Resource: "Public board", Scopes: []string{"view"}}, {Resource: "Account", Scopes: []string{"withdraw"}}}, nil},
		{"a ticket for a scope, that the limit cuts", []string{"response_permissions_limit", "1"}, []perm{{Scopes: []string{"view"}}}, nil},
		{"a ticket granted", nil, []perm{{Resource: "Mixed", Scopes: []string{"read"}}}, []string{"Mixed: read"}},
		{"a ticket with a scope missing", nil, []perm{{Resource: "Mixed", Scopes: []string{"read", "write"}}}, nil},
		{"a ticket with a resource missing", nil, []perm{{Resource: "Mixed", Scopes: []string{"read"}}, {Resource: "Admin area"}}, nil},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ask, refusal := tc.ask, "not_authorized"
			if tc.ticket != nil {
				ask, refusal = append([]string{"ticket", e.ticket(t, tc.ticket...)}, ask...), "request_denied"
			}
			res := e.uma(t, bob, ask...)
			if tc.want == nil {
				res.expect(t, 403, "access_denied", refusal)
				return
			}
			res.expectGrantedInAnyOrder(t, tc.want...)
		})
	}
}

// wantsEmail is a guardrail that wants a claim before anything is done to the
// public board.
const wantsEmail = `package uma.guardrails
need_info contains {"name": "email", "friendly_name": "your e-mail address", "claim_token_format": ["%s"]} if {
	input.resource.type == "board"
	not input.claims.verified.email
}`

// TestNeedInfo: a refusal for want of claims has a new ticket and says what is
// wanted; the old ticket is spent (UMA Grant §3.3.6, design §7).
func TestNeedInfo(t *testing.T) {
	t.Parallel()
	e := start(t, photozWith(t, map[string]string{"guardrails.rego": fmt.Sprintf(wantsEmail, claimsJWT)}))
	bob := e.as(t, "bob", "photoz-app")
	first := e.ticket(t, perm{Resource: "Public board", Scopes: []string{"view"}})

	res := e.uma(t, bob, "ticket", first)
	res.expect(t, 403, "need_info", "")
	next := res.str("ticket")
	if next == "" || next == first {
		t.Fatalf("got %s, want a new ticket", res)
	}
	wanted := asList(res.object()["required_claims"])
	if len(wanted) != 1 || asObject(wanted[0])["name"] != "email" || asObject(wanted[0])["friendly_name"] != "your e-mail address" {
		t.Errorf("got required_claims %s, want the e-mail address", show(wanted))
	}
	if res.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got Cache-Control %q, want no-store", res.header.Get("Cache-Control"))
	}
	e.uma(t, bob, "ticket", first).expect(t, 403, "invalid_ticket", "Ticket verification failed")
	e.uma(t, bob, "ticket", next, "claim_token", e.token(t, "bob", "photoz-app"), "claim_token_format", claimsJWT).
		expectGranted(t, "Public board: view")
	e.uma(t, bob, "permission", "Public board#view").expect(t, 403, "access_denied", "not_authorized")
}
