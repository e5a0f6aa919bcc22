package uma2

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/protection"
)

// refused fails unless err is an *uma.Error, which clients are told.
func refused(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*uma.Error](err); !ok {
		t.Errorf("got error %v, want an *uma.Error", err)
	}
}

func TestParseResource(t *testing.T) {
	t.Parallel()
	v, err := wire.ParseJSON(`{"resource_scopes":["b","a"],"name":"N","type":"T","icon_uri":"https://i.example/x.png","owner":"alice",
		"description":"D","description#fr":"F","name#":"x","name#de":"G","type#de":"x","Name":"x","uris":[1],"_id":"x"}`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseResource(v)
	want := &protection.ResourceInput{
		Name: "N", Type: "T", IconURI: "https://i.example/x.png", Owner: "alice", Scopes: []uma.Scope{"b", "a"},
		Texts: map[string]string{"description": "D", "description#fr": "F", "name#de": "G"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// An owner is named by a text, or as a trusted issuer knows it.
func TestParseOwner(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]*uma.SubjectID{
		`{"iss":"https://i","sub":"s"}`:                    uma.SubjectIDOf("https://i", "s"),
		`{"format":"iss_sub","iss":"https://i","sub":"s"}`: uma.SubjectIDOf("https://i", "s"),
		`{"format":"email","iss":"https://i","sub":"s"}`:   nil,
		`{"format":"iss_sub","sub":"s"}`:                   nil,
		`{"iss":"https://i","sub":""}`:                     nil,
		`{"iss":["https://i"],"sub":"s"}`:                  nil,
		`{"iss":"https://i","sub":"s","id":"u"}`:           nil,
		`{"id":"u"}`:                                       nil,
		`["s"]`:                                            nil,
	} {
		v, err := wire.ParseJSON(`{"resource_scopes":[],"owner":` + text + `}`)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseResource(v)
		if want == nil {
			refused(t, err)
		} else if err != nil || got.Owner != "" || !reflect.DeepEqual(got.OwnerID, want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
}

// What is shown is what was registered; a name that was made up is not.
func TestShow(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		`{"_id":"r","resource_scopes":[]}`: ShowResource(&uma.Resource{ID: "r", Name: "r", Owner: "u", URIs: []string{"/x"}, Attributes: map[string][]string{"a": {"b"}}}),
		`{"_id":"r","description":"D","icon_uri":"I","name":"N","name#fr":"F","resource_scopes":["view"],"type":"T"}`: ShowResource(&uma.Resource{
			ID: "r", Name: "N", Type: "T", IconURI: "I", Scopes: []uma.Scope{"view"}, Texts: map[string]string{"description": "D", "name#fr": "F"}}),
		`{"access_token":"a","token_type":"Bearer","expires_in":5}`: ShowRPT(&party.Tokens{
			Access: "a", AccessExpiresIn: 5, Scope: "profile", Session: "s", ID: "i", RPT: true}, false),
		`{"active":false}`: ShowIntrospection(&party.Introspection{}),
		`{"active":true,"exp":2,"iat":1,"iss":"i","aud":"a","jti":"j","client_id":"c","token_type":"Bearer","permissions":[{"resource_id":"r","resource_scopes":[],"exp":2}]}`: ShowIntrospection(&party.Introspection{
			Active: true, Username: "bob", Permissions: []uma.Grant{{Resource: "r", Name: "N"}, {Scopes: []uma.Scope{"view"}}},
			Claims: &uma.Claims{Expires: 2, IssuedAt: 1, Issuer: "i", Audience: uma.Audience{"a"}, ID: "j", AuthorizedParty: "c", Type: "Bearer", Scope: "profile", Subject: "u"}}),
		`{"active":true,"scope":"profile","client_id":"c","username":"bob","token_type":"Bearer","exp":2,"iat":1,"sub":"u","aud":["a","b"],"iss":"i","jti":"j"}`: ShowIntrospection(&party.Introspection{
			Active: true, Username: "bob",
			Claims: &uma.Claims{Expires: 2, IssuedAt: 1, Issuer: "i", Audience: uma.Audience{"a", "b"}, ID: "j", AuthorizedParty: "c", Type: "Bearer", Scope: "profile", Subject: "u"}}),
	} {
		got, err := json.Marshal(v)
		if err != nil || string(got) != want {
			t.Errorf("got %s, %v\nwant %s", got, err, want)
		}
	}
}

// FuzzResourceJSON: every body ends in a resource, or in an *uma.Error.
func FuzzResourceJSON(f *testing.F) {
	for _, seed := range []string{
		`{"resource_scopes":["view"],"name":"N","name#fr":"F","description":"D"}`, `{"resource_scopes":[]}`, `{}`, `[]`, `{`,
		`{"resource_scopes":[],"name":"a","name":"b"}`, `{"resource_scopes":null}`, `{"resource_scopes":[],"name#":null}`,
		`{"resource_scopes":[],"owner":{"iss":"https://i","sub":"s"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := wire.ParseJSON(body)
		var in *protection.ResourceInput
		if err == nil {
			in, err = ParseResource(v)
		}
		switch {
		case err != nil:
			refused(t, err)
		case in.Scopes == nil:
			t.Errorf("%q gives %+v", body, in)
		}
	})
}

// FuzzPermissionJSON: the same of permission requests.
func FuzzPermissionJSON(f *testing.F) {
	for _, seed := range []string{
		`{"resource_id":"r","resource_scopes":["a"]}`, `[{"resource_id":"r","resource_scopes":[]}]`, `[]`, `[null]`, `[[]]`, `{}`, `"x"`,
		`{"resource_id":"","resource_scopes":[]}`, `{"resource_id":"r"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := wire.ParseJSON(body)
		var p []protection.TicketPermission
		if err == nil {
			p, err = ParsePermissions(v)
		}
		if err != nil {
			refused(t, err)
			return
		}
		if len(p) == 0 {
			t.Errorf("%q asks for nothing and is accepted", body)
		}
	})
}
