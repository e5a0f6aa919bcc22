package tests

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// jwt is an unsigned token with these claims.
func jwt(claims string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func fromJSON(t *testing.T, text string) any {
	t.Helper()
	if text == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// TestComparer proves that the comparison of recorded answers lets pass what
// testdata/photoz/README.md allows and nothing else. The wanted status is 200.
func TestComparer(t *testing.T) {
	t.Parallel()
	rpt := func(permissions string) string {
		return `{"upgraded":false,"token_type":"Bearer","refresh_token":"r","expires_in":300,"access_token":"` +
			jwt(`{"azp":"web","aud":"api","typ":"Bearer","preferred_username":"bob","exp":1,"authorization":{"permissions":`+permissions+`}}`) + `"}`
	}
	const wantRPT = `{"upgraded":false,"token_type":"Bearer","refresh_token":"<refresh_token>","access_token":{"azp":"web","aud":"api",
		"typ":"Bearer","user":"bob","permissions":[{"rsid":"<uuid>","rsname":"A","scopes":["view","post"]},{"rsid":"<Board>","rsname":"B"}]}}`
	const wantPermissions = `[{"rsid":"<id 1>","rsname":"A","scopes":["view","post"]},{"rsid":"<id 2>","rsname":"B","claims":{"n":["1","2"]}}]`
	const wantResource = `{"_id":"<id 2>","name":"Photo","owner":{"id":"<id 1>"},"ownerManagedAccess":false,
		"resource_scopes":[{"name":"print"},{"name":"view"}],"uris":["/a","/b"]}`
	const wantRequests = `[{"id":"<id 1>","requester":"<id 3>","scope":"<id 2>","granted":false},
		{"id":"<id 4>","requester":"<id 5>","scope":"<id 2>","granted":false}]`
	const wantError = `{"error":"invalid_resource","error_description":"Resource with id [<id 9>] does not exist."}`

	tests := []struct {
		name  string
		want  string
		rule  string // of an exception
		got   string
		wrong string // part of the complaint; empty: none
	}{
		{"an answer as recorded", `{"result":true}`, "", `{"result":true}`, ""},
		{"another value", `{"result":true}`, "", `{"result":false}`, "answer.result"},
		{"another type", `{"result":true}`, "", `{"result":"true"}`, "answer.result"},
		{"a member too few", `{"a":1,"b":2}`, "", `{"a":1}`, "answer.b: missing"},
		{"a member too many", `{"a":1}`, "", `{"a":1,"b":2}`, "answer.b: not recorded"},
		{"members that say when or how long", `{"a":1}`, "", `{"a":1,"exp":3,"iat":2}`, ""},
		{"no body", `{"a":1}`, "", ``, "answer"},
		{"a list for an object", `{"a":1}`, "", `[]`, "answer"},
		{"a number", `4`, "", `4`, ""},
		{"another number", `4`, "", `3`, "answer"},

		{"permissions of an RPT", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["post","view"]},{"rsid":"board","rsname":"B"}]`), ""},
		{"permissions of an RPT in another order", wantRPT, "", rpt(`[{"rsid":"board","rsname":"B"},{"rsid":"x","rsname":"A","scopes":["view","post"]}]`), "permissions[0]"},
		{"permissions of an RPT where order is free", wantRPT, "permissions in any order", rpt(`[{"rsid":"board","rsname":"B"},{"rsid":"x","rsname":"A","scopes":["view","post"]}]`), ""},
		{"a permission too few", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post"]}]`), "want 2 elements, got 1"},
		{"a permission too many", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post"]},{"rsid":"board","rsname":"B"},{"rsid":"y"}]`), "want 2 elements, got 3"},
		{"a scope too few", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view"]},{"rsid":"board","rsname":"B"}]`), `missing "post"`},
		{"a scope too many", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post","delete"]},{"rsid":"board","rsname":"B"}]`), `unexpected "delete"`},
		{"a scope twice", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","view"]},{"rsid":"board","rsname":"B"}]`), "scopes"},
		{"scopes that were left out", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post"]},{"rsid":"board","rsname":"B","scopes":[]}]`), "scopes: not recorded"},
		{"empty claims in a permission", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post"],"claims":{}},{"rsid":"board","rsname":"B"}]`), "claims: not recorded"},
		{"another resource", wantRPT, "", rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post"]},{"rsid":"other","rsname":"B"}]`), "<Board> is board"},
		{"permissions where there are none", `{"token_type":"Bearer","access_token":{"permissions":null}}`, "", rpt(`[]`), "permissions: want null"},
		{"an access token that is none", wantRPT, "", `{"access_token":"x","upgraded":false,"token_type":"Bearer","refresh_token":"r"}`, "want a JWT"},
		{"a token answer without its refresh token", wantRPT, "", strings.Replace(rpt(`[{"rsid":"x","rsname":"A","scopes":["view","post"]},{"rsid":"board","rsname":"B"}]`), `"refresh_token":"r",`, "", 1), "refresh_token: missing"},
		{"scopes of a token answer in another order", `{"token_type":"Bearer","scope":"profile email"}`, "", `{"token_type":"Bearer","scope":"email profile","session_state":"x"}`, ""},
		{"scopes of a token answer", `{"token_type":"Bearer","scope":"profile email"}`, "", `{"token_type":"Bearer","scope":"email"}`, "answer.scope"},
		{"the scope of a request", `{"id":"<id 1>","scope":"<id 2>"}`, "", `{"id":"a","scope":"b"}`, ""},
		{"an audience in another order", `{"aud":["a","b"]}`, "", `{"aud":["b","a"]}`, ""},
		{"an audience too many", `{"aud":["a","b"]}`, "", `{"aud":["a","b","c"]}`, `unexpected "c"`},

		{"permissions mode", wantPermissions, "", `[{"rsid":"x","rsname":"A","scopes":["post","view"]},{"rsid":"y","rsname":"B","claims":{"n":["1","2"]}}]`, ""},
		{"permissions mode in another order", wantPermissions, "", `[{"rsid":"y","rsname":"B","claims":{"n":["1","2"]}},{"rsid":"x","rsname":"A","scopes":["view","post"]}]`, "answer[0]"},
		{"permissions mode where order is free", wantPermissions, "permissions in any order", `[{"rsid":"y","rsname":"B","claims":{"n":["1","2"]}},{"rsid":"x","rsname":"A","scopes":["view","post"]}]`, ""},
		{"permissions mode, one missing, where order is free", wantPermissions, "permissions in any order", `[{"rsid":"x","rsname":"A","scopes":["view","post"]}]`, "missing"},
		{"claims in another order", wantPermissions, "", `[{"rsid":"x","rsname":"A","scopes":["post","view"]},{"rsid":"y","rsname":"B","claims":{"n":["2","1"]}}]`, "claims.n[0]"},
		{"one id where there were two", wantPermissions, "", `[{"rsid":"x","rsname":"A","scopes":["post","view"]},{"rsid":"x","rsname":"B","claims":{"n":["1","2"]}}]`, "that is <id 1>"},
		{"an empty list for some", wantPermissions, "", `[]`, "want 2 elements, got 0"},
		{"some for an empty list", `[]`, "", `["x"]`, `unexpected "x"`},

		{"a resource with what is allowed", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1","name":"alice"},"ownerManagedAccess":false,"uris":["/b","/a"],
			"resource_scopes":[{"name":"view","id":"7"},{"name":"print"}],"scopes":[{"name":"view"}],"attributes":{},"type":"t"}`, ""},
		{"a resource with what a strict client refuses", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1"},"ownerManagedAccess":false,"uris":["/b","/a"],
			"resource_scopes":[{"name":"view"},{"name":"print"}],"user_access_policy_uri":"x"}`, "user_access_policy_uri: not recorded"},
		{"an owner with more", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1","email":"x"},"ownerManagedAccess":false,"uris":["/b","/a"],
			"resource_scopes":[{"name":"view"},{"name":"print"}]}`, "owner.email: not recorded"},
		{"a scope with more", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1"},"ownerManagedAccess":false,"uris":["/b","/a"],
			"resource_scopes":[{"name":"view","x":1},{"name":"print"}]}`, "resource_scopes"},
		{"a scope with more where none was recorded", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1"},"ownerManagedAccess":false,"uris":["/b","/a"],
			"resource_scopes":[{"name":"view"},{"name":"print"}],"scopes":[{"name":"view","x":1}]}`, "scopes[0].x"},
		{"scopes as strings", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1"},"ownerManagedAccess":false,"uris":["/b","/a"],
			"resource_scopes":["view","print"]}`, "resource_scopes"},
		{"a URI missing", wantResource, "", `{"_id":"2","name":"Photo","owner":{"id":"1"},"ownerManagedAccess":false,"uris":["/b"],
			"resource_scopes":[{"name":"view"},{"name":"print"}]}`, `missing "/a"`},

		{"requests in another order", wantRequests, "", `[{"id":"b","requester":"erin","scope":"s","granted":false},{"id":"a","requester":"bob","scope":"s","granted":false}]`, ""},
		{"a request with a name that nobody asked for", wantRequests, "", `[{"id":"a","requester":"bob","scope":"s","granted":false,"scopeName":"x"},{"id":"b","requester":"erin","scope":"s","granted":false}]`, "unexpected"},
		{"requests of one party where there were two", wantRequests, "", `[{"id":"a","requester":"bob","scope":"s","granted":false},{"id":"b","requester":"bob","scope":"s","granted":false}]`, "names are used for different things"},
		{"requests for two scopes where there was one", wantRequests, "", `[{"id":"a","requester":"bob","scope":"s","granted":false},{"id":"b","requester":"erin","scope":"z","granted":false}]`, "names are used for different things"},
		{"only how many", wantRequests, "only how many", `[{"id":"a"},{}]`, ""},
		{"only how many, too few", wantRequests, "only how many", `[{"id":"a"}]`, "want 2 elements, got 1"},

		{"a name in an error text", wantError, "", `{"error":"invalid_resource","error_description":"Resource with id [sent] does not exist."}`, ""},
		{"an id that was not sent", wantError, "", `{"error":"invalid_resource","error_description":"Resource with id [x] does not exist."}`, "sent was sent"},
		{"another error text", wantError, "", `{"error":"invalid_resource","error_description":"Resource [x] does not exist."}`, "error_description"},
		{"another error", wantError, "", `{"error":"invalid_request","error_description":"Resource with id [sent] does not exist."}`, "answer.error"},
		{"an error with more", wantError, "", `{"error":"invalid_resource","error_description":"Resource with id [sent] does not exist.","stack":"x"}`, "stack: not recorded"},
		{"the base", `{"issuer":"{base}/x"}`, "", `{"issuer":"http://h/realms/r/x"}`, ""},
		{"another base", `{"issuer":"{base}/x"}`, "", `{"issuer":"http://evil/realms/r/x"}`, "answer.issuer"},
		{"an empty ticket", `{"ticket":"<ticket>"}`, "", `{"ticket":""}`, "answer.ticket"},

		{"others free", `{"active":true,"aud":"a","typ":"Bearer","permissions":[]}`, "active, aud, typ and permissions in any order; others free", `{"active":true,"aud":"a","typ":"Bearer","permissions":[],"sub":"x"}`, ""},
		{"others free, but not those", `{"active":true,"aud":"a","typ":"Bearer","permissions":[]}`, "active, aud, typ and permissions in any order; others free", `{"active":true,"aud":"b","typ":"Bearer","permissions":[]}`, "answer.aud"},
		{"others free, but one is missing", `{"active":true,"aud":"a","typ":"Bearer","permissions":[]}`, "active, aud, typ and permissions in any order; others free", `{"active":true,"typ":"Bearer","permissions":[]}`, "answer.aud: missing"},
		{"a key that is no key", `{"public_key":"x","realm":"r"}`, "the members realm, public_key, token-service, tokens-not-before", `{"public_key":"x","realm":"r","token-service":"","tokens-not-before":0}`, "base64 of a public key"},
		{"a key set without a signing key", `{}`, "a signing key with alg, kid, kty, use and its numbers", `{"keys":[{"alg":"RS256","kty":"RSA","use":"sig","n":"AQAB","e":"AQAB"}]}`, "want a signing key"},
		{"a key set", `{}`, "a signing key with alg, kid, kty, use and its numbers", `{"keys":[{"alg":"RS256","kid":"1","kty":"RSA","use":"sig","n":"AQAB","e":"AQAB"}]}`, ""},
		{"a rule that nobody wrote", `{}`, "as you like", `{}`, "nothing here knows"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newComparer()
			c.sent = "sent"
			var x *exception
			if tc.rule != "" {
				x = &exception{Compare: tc.rule}
			}
			got := c.answer(x, 200, fromJSON(t, tc.want), 200, fromJSON(t, tc.got))
			complains(t, got, tc.wrong)
		})
	}
}

func newComparer() *comparer {
	resources := map[string]string{"Board": "board"}
	return &comparer{base: "http://h/realms/r", bound: map[string]string{}, resource: func(name string) string { return resources[name] }}
}

// complains fails unless the complaints hold this part, or are none.
func complains(t *testing.T, got []string, want string) {
	t.Helper()
	all := strings.Join(got, "\n")
	if want == "" && all != "" {
		t.Errorf("got complaint %q, want none", all)
	}
	if !strings.Contains(all, want) {
		t.Errorf("got complaint %q, want %q in it", all, want)
	}
}

// TestComparerStatus does the same for statuses and for exceptions that replace
// an answer.
func TestComparerStatus(t *testing.T) {
	t.Parallel()
	denied := &exception{Status: []int{400, 403}, Error: []string{"access_denied", "x"}, Description: "request_denied"}
	tests := []struct {
		name   string
		rule   *exception
		status int
		want   string
		got    int
		body   string
		wrong  string
	}{
		{"another status", nil, 200, `{}`, 201, `{}`, "status: want 200, got 201"},
		{"a bare 404", nil, 404, `{"error":"HTTP 404 Not Found"}`, 404, ``, ""},
		{"a 404 with another body", nil, 404, `{"error":"HTTP 404 Not Found"}`, 404, `{"error":"x"}`, "answer.error"},
		{"a bare 400", nil, 400, `{"error":"x"}`, 400, ``, "answer"},
		{"no content", nil, 204, ``, 204, ``, ""},
		{"content where there is none", nil, 204, ``, 204, `{"a":1}`, "want none"},
		{"an answer nobody recorded", nil, 401, ``, 401, `{"error":"x"}`, ""},
		{"status instead", denied, 403, `{"error":"access_denied","error_description":"request_submitted"}`, 403, `{"error":"access_denied","error_description":"request_denied"}`, ""},
		{"one of the statuses", denied, 403, `{}`, 400, `{"error":"x","error_description":"request_denied"}`, ""},
		{"none of the statuses", denied, 403, `{}`, 401, `{"error":"x","error_description":"request_denied"}`, "status: want one of [400 403], got 401"},
		{"none of the errors", denied, 403, `{}`, 403, `{"error":"y","error_description":"request_denied"}`, "answer.error"},
		{"what was recorded instead", denied, 403, `{}`, 403, `{"error":"access_denied","error_description":"request_submitted"}`, "error_description"},
		{"more beside the error", denied, 403, `{}`, 403, `{"error":"x","error_description":"request_denied","ticket":"t"}`, "answer.ticket"},
		{"permissions instead", &exception{Status: []int{200}, Permissions: map[string][]string{"A": {"x", "y"}, "B": {}}}, 200, `[]`, 200, `[{"rsname":"B"},{"rsname":"A","scopes":["y","x"]}]`, ""},
		{"permissions instead, one missing", &exception{Status: []int{200}, Permissions: map[string][]string{"A": {"x"}, "B": {}}}, 200, `[]`, 200, `[{"rsname":"A","scopes":["x"]}]`, `missing "B"`},
		{"permissions instead, one more", &exception{Status: []int{200}, Permissions: map[string][]string{"A": {"x"}}}, 200, `[]`, 200, `[{"rsname":"A","scopes":["x"]},{"rsname":"C"}]`, "unexpected"},
		{"permissions instead, one twice", &exception{Status: []int{200}, Permissions: map[string][]string{"A": {"x"}}}, 200, `[]`, 200, `[{"rsname":"A","scopes":["x"]},{"rsname":"A","scopes":["x"]}]`, "unexpected"},
		{"permissions instead, a scope more", &exception{Status: []int{200}, Permissions: map[string][]string{"A": {"x"}}}, 200, `[]`, 200, `[{"rsname":"A","scopes":["x","y"]}]`, "scopes of A"},
		{"the owner that was named", &exception{Status: []int{201}, Why: "the resource server names the owner: owner.name is alice"}, 201, `{}`, 201, `{"_id":"x","owner":{"name":"bob"}}`, "owner.name"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := newComparer().answer(tc.rule, tc.status, fromJSON(t, tc.want), tc.got, fromJSON(t, tc.body))
			complains(t, got, tc.wrong)
		})
	}
}

// TestComparerRemembers: a name stands for the same thing in every later step.
func TestComparerRemembers(t *testing.T) {
	t.Parallel()
	c := newComparer()
	first := fromJSON(t, `{"_id":"abc","owner":{"id":"own"}}`)
	complains(t, c.answer(nil, 200, fromJSON(t, `{"_id":"<id 2>","owner":{"id":"<id 1>"}}`), 200, first), "")
	complains(t, c.answer(nil, 200, fromJSON(t, `["<id 2>"]`), 200, fromJSON(t, `["abc"]`)), "")
	complains(t, c.answer(nil, 200, fromJSON(t, `["<id 2>"]`), 200, fromJSON(t, `["abd"]`)), `missing "<id 2>"`)
	complains(t, c.answer(nil, 200, fromJSON(t, `{"error_description":"[<id 2>]"}`), 200, fromJSON(t, `{"error_description":"[abcd]"}`)), "error_description")

	for range 2 {
		c.capture(fromJSON(t, `{"ticket":"t","access_token":"a","refresh_token":"r"}`))
	}
	want := map[string]string{"id 1": "own", "id 2": "abc", "ticket 1": "t", "ticket 2": "t", "RPT 1": "a", "RPT 2": "a", "refresh token 1": "r", "refresh token 2": "r"}
	if !maps.Equal(c.bound, want) {
		t.Errorf("got names %v, want %v", c.bound, want)
	}
}

// TestEveryRuleIsKnown: no case says how to compare in words that are not
// understood here, and none names a step that it does not have.
func TestEveryRuleIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range readRecorded(t) {
		for _, x := range c.Umpire {
			if x.Step >= len(c.Steps) {
				t.Errorf("%s: no step %d", c.Case, x.Step)
			}
			if x.Compare == "" && !x.replaces() {
				t.Errorf("%s: nothing follows from the exception of step %d", c.Case, x.Step)
			}
			status := 200
			if x.replaces() {
				status = x.Status[0]
			}
			got := newComparer().answer(&x, 200, map[string]any{}, status, map[string]any{})
			if strings.Contains(strings.Join(got, "\n"), "nothing here knows") {
				t.Errorf("%s: %s", c.Case, got)
			}
		}
	}
}
