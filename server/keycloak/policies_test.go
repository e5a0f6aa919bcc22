package keycloak

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, want string }{
		{`{"name":"p"}`, "{ID: Name:p Description: Resources:[] Scopes:[] Users:[] Roles:[] Groups:[] Clients:[] Strategy:}"},
		{`{"id":"i","name":"p","description":"d","type":"uma","logic":"POSITIVE","decisionStrategy":"CONSENSUS","owner":"x","resources":["r"],
			"scopes":["view"],"users":["bob"],"roles":["user","api/friend"],"groups":["/friends"],"clients":["web"],"condition":null,"policies":[],"x":1}`,
			"{ID:i Name:p Description:d Resources:[r] Scopes:[view] Users:[bob] Roles:[user api/friend] Groups:[/friends] Clients:[web] Strategy:CONSENSUS}"},

		{``, "invalid_request: a policy must be a JSON object"},
		{`[]`, "invalid_request: a policy must be a JSON object"},
		{`{"name":1}`, "invalid_request: name must be a string"},
		{`{"description":["d"]}`, "invalid_request: description must be a string"},
		{`{"users":"bob"}`, "invalid_request: users must be an array of strings"},
		{`{"users":[null]}`, "invalid_request: users must be an array of strings"},
		{`{"clients":[1]}`, "invalid_request: clients must be an array of strings"},
		{`{"roles":[{"id":"user","required":true}]}`, "invalid_request: roles must be an array of strings"},
		{`{"groups":{"path":"/x"}}`, "invalid_request: groups must be an array of strings"},
		{`{"scopes":"view"}`, "invalid_request: scopes must be an array of strings"},
		{`{"resources":"r"}`, "invalid_request: resources must be an array of strings"},
		{`{"decisionStrategy":true}`, "invalid_request: decisionStrategy must be a string"},

		// Left out these would let in more than was said.
		{`{"type":"time"}`, "invalid_request: type must be uma"},
		{`{"logic":"NEGATIVE"}`, "invalid_request: logic must be POSITIVE: whom a resource is not shared with needs no policy"},
		{`{"logic":"positive"}`, "invalid_request: logic must be POSITIVE: whom a resource is not shared with needs no policy"},
		{`{"condition":"script.js"}`, "invalid_request: condition and policies are not supported: the realm's policies are written in Rego"},
		{`{"condition":""}`, "invalid_request: condition and policies are not supported: the realm's policies are written in Rego"},
		{`{"policies":["p"]}`, "invalid_request: condition and policies are not supported: the realm's policies are written in Rego"},
	}
	for _, tt := range tests {
		v, err := wire.ParseJSON(tt.body)
		var in *protection.PolicyInput
		if err == nil {
			in, err = parsePolicy(v)
		}
		got := ""
		if err != nil {
			got = description(t, err)
		} else {
			got = fmt.Sprintf("%+v", *in)
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.body, got, tt.want)
		}
	}
	for body, absent := range map[string]bool{`{}`: true, `{"scopes":null}`: true, `{"scopes":[]}`: false} {
		v, err := wire.ParseJSON(body)
		if err != nil {
			t.Fatal(err)
		}
		in, err := parsePolicy(v)
		if err != nil || (in.Scopes == nil) != absent {
			t.Errorf("%s: got scopes %#v, %v, want them absent: %t", body, in.Scopes, err, absent)
		}
	}
}

// TestShowPolicy holds the JSON against what was recorded: strict clients refuse a
// member that they do not know.
func TestShowPolicy(t *testing.T) {
	t.Parallel()
	full := &protection.PolicyView{Share: &uma.Share{
		ID: "p1", Kind: uma.ByPolicy, Name: "for bob", Description: "d", ResourceID: "r1", Owner: "u1", Scopes: []uma.Scope{"view"},
		Users: []string{"u2"}, Roles: []string{"user"}, Groups: []string{"/friends"}, Clients: []string{"web"}, Strategy: uma.Affirmative,
	}, Usernames: []string{"bob"}}
	bare := &protection.PolicyView{Share: &uma.Share{ID: "p2", Name: "p", Owner: "u1", Strategy: uma.Unanimous}}
	for v, want := range map[*protection.PolicyView]string{
		full: `{"id":"p1","name":"for bob","description":"d","type":"uma","logic":"POSITIVE","decisionStrategy":"AFFIRMATIVE","owner":"u1","scopes":["view"],"users":["bob"],"roles":["user"],"groups":["/friends"],"clients":["web"]}`,
		bare: `{"id":"p2","name":"p","type":"uma","logic":"POSITIVE","decisionStrategy":"UNANIMOUS","owner":"u1"}`,
	} {
		got, err := json.Marshal(showPolicy(v))
		if err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

func TestPolicyError(t *testing.T) {
	t.Parallel()
	for reason, want := range map[uma.Reason]wire.Refusal{
		uma.NotFound: {Status: 404, Code: "invalid_request", Description: "said"},
		uma.Conflict: {Status: 409, Code: "said", Description: "Conflicting policy"},
	} {
		r, ok := errors.AsType[*wire.Refusal](policyError(wire.Say(reason, "said", nil)))
		if !ok || r.Status != want.Status || r.Code != want.Code || r.Description != want.Description {
			t.Errorf("%s: got %+v, want %+v", reason, r, want)
		}
	}
	if err := uma.Reject(uma.Busy, uma.Fault{}, nil); policyError(err) != error(err) {
		t.Error("another error is changed")
	}
}

// FuzzPolicyJSON: every body ends in a policy or in an *uma.Error.
func FuzzPolicyJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name":"p","scopes":["view"],"users":["bob"],"roles":["c/r"],"groups":["/g"],"clients":["c"],"decisionStrategy":"CONSENSUS"}`,
		`{"logic":"NEGATIVE"}`, `{"condition":{}}`, `{"policies":[1]}`, `{"scopes":[]}`, `[]`, `{`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := wire.ParseJSON(body)
		if err == nil {
			_, err = parsePolicy(v)
		}
		if err != nil {
			description(t, err)
		}
	})
}
