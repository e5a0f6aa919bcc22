package server

import (
	"errors"
	"reflect"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
)

func TestParseTokenRequest(t *testing.T) {
	t.Parallel()
	asked := func(resource string, scopes ...uma.Scope) grant.AskedPermission {
		return grant.AskedPermission{Resource: resource, Scopes: scopes}
	}
	some := func(p ...grant.AskedPermission) *grant.Request { return &grant.Request{Permissions: p} }
	none := []grant.AskedPermission{}
	tests := []struct {
		name, body string
		want       *grant.Request
	}{
		{"nothing", "", some()},
		{"every parameter", "ticket=t&rpt=r&claim_token=c&claim_token_format=f&subject_token=s&audience=a&scope=x+y&permission_resource_format=uri" +
			"&permission_resource_matching_uri=true&submit_request=false&response_include_resource_name=false&response_permissions_limit=3&response_mode=permissions",
			&grant.Request{
				Ticket: "t", RPT: "r", ClaimToken: "c", ClaimTokenFormat: "f", SubjectToken: "s", Audience: "a", Scopes: []uma.Scope{"x", "y"},
				Permissions: none, ByURI: true, MatchingURI: true, NoSubmit: true, WithoutNames: true, Limit: 3, Mode: grant.ModePermissions,
			}},
		{"defaults said aloud", "submit_request=TRUE&response_include_resource_name=True&permission_resource_matching_uri=FALSE&permission_resource_format=id", some()},
		{"empty ones of clients", "username=&password=&code=&redirect_uri=&response_mode=&audience=&scope=&claim_token_format=&response_type=token&claimToken=x", some()},
		{"decision", "response_mode=decision", &grant.Request{Permissions: none, Mode: grant.ModeDecision}},
		{"resource", "permission=A", some(asked("A"))},
		{"scopes", "permission=A%23view,print", some(asked("A", "view", "print"))},
		{"the seed's blanks", "permission=Resource+A%23Scope+A,+Scope+B", some(asked("Resource A", "Scope A", "Scope B"))},
		{"blanks everywhere", "permission=++A++%23++v++", some(asked("A", "v"))},
		{"scope alone", "permission=%23view", some(asked("", "view"))},
		{"second #", "permission=/a%23v%23w", some(asked("/a", "v#w"))},
		{"several", "permission=A&permission=B%23v", some(asked("A"), asked("B", "v"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			form, err := wire.ParseForm(tt.body, "permission")
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseTokenRequest(form)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Permissions) == 0 && len(tt.want.Permissions) == 0 {
				got.Permissions = tt.want.Permissions
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestEmptyIsNotAll has every parameter that must not be present and empty, nor
// unparsable, with the sentence that names it (design §4).
func TestEmptyIsNotAll(t *testing.T) {
	t.Parallel()
	const boolean, number = " must be true or false", " must be a number of at least 1"
	tests := []struct{ body, want string }{
		{"ticket=", "ticket is empty"},
		{"ticket", "ticket is empty"},
		{"rpt=", "rpt is empty"},
		{"claim_token=", "claim_token is empty"},
		{"subject_token=", "subject_token is empty"},
		{"permission=", "permission is empty"},
		{"permission=+", "permission is empty"},
		{"permission=A&permission=", "permission is empty"},
		{"permission=%23", "permission has an empty scope"},
		{"permission=%23+", "permission has an empty scope"},
		{"permission=A%23", "permission has an empty scope"},
		{"permission=A%23v,,w", "permission has an empty scope"},
		{"permission=A%23v,", "permission has an empty scope"},
		{"permission_resource_format=", "permission_resource_format is empty"},
		{"permission_resource_format=url", "permission_resource_format must be id or uri"},
		{"permission_resource_format=URI", "permission_resource_format must be id or uri"},
		{"permission_resource_matching_uri=", "permission_resource_matching_uri" + boolean},
		{"submit_request=", "submit_request" + boolean},
		{"submit_request=0", "submit_request" + boolean},
		{"response_include_resource_name=no", "response_include_resource_name" + boolean},
		{"response_permissions_limit=", "response_permissions_limit" + number},
		{"response_permissions_limit=0", "response_permissions_limit" + number},
		{"response_permissions_limit=-1", "response_permissions_limit" + number},
		{"response_permissions_limit=ten", "response_permissions_limit" + number},
		{"response_mode=xml", "Invalid response_mode"},
		{"response_mode=Decision", "Invalid response_mode"},
		{"audience=a&audience=b", "duplicated parameter: audience"},
		{"ticket=a&ticket=b", "duplicated parameter: ticket"},
	}
	for _, tt := range tests {
		form, err := wire.ParseForm(tt.body, "permission")
		if err == nil {
			_, err = parseTokenRequest(form)
		}
		e, ok := errors.AsType[*uma.Error](err)
		if !ok || e.Reason != uma.InvalidRequest || e.Fault.Detail != tt.want {
			t.Errorf("%s: got %v, want invalid_request %q", tt.body, err, tt.want)
		}
	}
}

// FuzzTokenForm: every body ends in a request that means what it says, or in an
// *uma.Error.
func FuzzTokenForm(f *testing.F) {
	for _, seed := range []string{
		"ticket=t&claim_token=c", "permission=A#v, w&permission=#x", "permission=%23", "response_permissions_limit=99999999999999",
		"submit_request=false&rpt=&a=%zz", "permission_resource_format=uri&permission=/a;b", "&&=&=&permission", "ticket=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		form, err := wire.ParseForm(body, "permission")
		var req *grant.Request
		if err == nil {
			req, err = parseTokenRequest(form)
		}
		if err != nil {
			if _, ok := errors.AsType[*uma.Error](err); !ok {
				t.Fatalf("%q: got error %v, want an *uma.Error", body, err)
			}
			return
		}
		if form.Has("ticket") && req.Ticket == "" || form.Has("rpt") && req.RPT == "" || req.Limit < 0 {
			t.Errorf("%q: got %+v", body, req)
		}
		for _, p := range req.Permissions {
			if p.Resource == "" && len(p.Scopes) == 0 {
				t.Errorf("%q asks for anything at all", body)
			}
			for _, s := range p.Scopes {
				if s == "" {
					t.Errorf("%q asks for a scope without a name", body)
				}
			}
		}
	})
}
