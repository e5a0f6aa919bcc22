package trust

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

func TestMapping(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	path := func(names ...string) uma.ClaimPath { return names }
	type object = map[string]any
	type list = []any
	group := func(from uma.ClaimPath, prefix string, only ...string) func(*uma.TrustedIssuer) {
		return func(i *uma.TrustedIssuer) { i.Map.Groups = uma.GroupsMap{From: from, Prefix: prefix, Only: only} }
	}
	optional := func(i *uma.TrustedIssuer) { i.Map.Groups = uma.GroupsMap{From: path("groups"), Optional: true} }
	for name, test := range map[string]struct {
		change func(*uma.TrustedIssuer)
		claims object
		check  func(*uma.TrustedToken) (got, want any)
		why    string // refused
	}{
		"Okta's subject of an access token": {
			change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("uid") }, claims: object{"uid": "00u1", "sub": "a@b"},
			check: func(t *uma.TrustedToken) (any, any) { return t.Subject, "00u1" },
		},
		"Okta's subject of an ID token": {
			change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("uid") }, claims: object{"typ": "ID", "uid": "00u1", "sub": "s"},
			check: func(t *uma.TrustedToken) (any, any) { return t.Subject, "s" },
		},
		"a subject that is missing":     {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("oid") }, why: "no subject"},
		"a subject that is null":        {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("oid") }, claims: object{"oid": json.RawMessage("null")}, why: "no subject"},
		"a subject that is a number":    {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("oid") }, claims: object{"oid": 7}, why: "map.subject"},
		"a subject that is empty":       {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("oid") }, claims: object{"oid": ""}, why: "no subject"},
		"a dotted name is not a path":   {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("a.b") }, claims: object{"a": object{"b": "x"}}, why: "no subject"},
		"an exact name with dots":       {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("a.b", "c") }, claims: object{"a.b": object{"c": "x"}}, check: func(t *uma.TrustedToken) (any, any) { return t.Subject, "x" }},
		"a path through a list":         {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("a", "0") }, claims: object{"a": list{"x"}}, why: "no subject"},
		"a path through a text":         {change: func(i *uma.TrustedIssuer) { i.Map.Subject.AccessToken = path("a", "b") }, claims: object{"a": "x"}, why: "no subject"},
		"Okta's client":                 {change: func(i *uma.TrustedIssuer) { i.Map.Client = path("cid") }, claims: object{"azp": nil, "cid": "c"}, check: func(t *uma.TrustedToken) (any, any) { return t.ClientID, "c" }},
		"azp where another is mapped":   {change: func(i *uma.TrustedIssuer) { i.Map.Client = path("cid") }, check: func(t *uma.TrustedToken) (any, any) { return t.ClientID, "guid" }},
		"azp where none is mapped":      {change: func(i *uma.TrustedIssuer) { i.Map.Client = nil }, check: func(t *uma.TrustedToken) (any, any) { return t.ClientID, "guid" }},
		"two clients":                   {change: func(i *uma.TrustedIssuer) { i.Map.Client = path("cid") }, claims: object{"cid": "c"}, why: "two clients"},
		"a client that is a list":       {change: func(i *uma.TrustedIssuer) { i.Map.Client = path("cid") }, claims: object{"azp": nil, "cid": list{"c"}}, why: "map.client"},
		"no username":                   {claims: object{"preferred_username": ""}, check: func(t *uma.TrustedToken) (any, any) { return t.Username, "" }},
		"a username that is a number":   {claims: object{"preferred_username": 1}, why: "map.username"},
		"a username in disguise":        {claims: object{"preferred_username": "ad\u200bmin"}, why: "map.username"},
		"a username with a line end":    {claims: object{"preferred_username": "a\nb"}, why: "map.username"},
		"a long username":               {claims: object{"preferred_username": strings.Repeat("x", maxName+1)}, why: "map.username"},
		"an acr that is a number":       {claims: object{"acr": 1}, why: "map.acr"},
		"claims that are not listed":    {claims: object{"license": 1, "License2": 2, "role": "admin"}, check: func(t *uma.TrustedToken) (any, any) { return t.Claims, object{"license": json.Number("1")} }},
		"claims that are null":          {claims: object{"license": json.RawMessage("null")}, check: func(t *uma.TrustedToken) (any, any) { return t.Claims, object{} }},
		"attributes that are not there": {check: func(t *uma.TrustedToken) (any, any) { return t.Attributes, object{} }},

		"required":                    {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": "9f2e", "n": json.Number("1"), "b": true} }, claims: object{"tid": "9f2e", "n": 1, "b": true}, check: func(t *uma.TrustedToken) (any, any) { return t.Subject, "u1" }},
		"required and missing":        {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": "9f2e"} }, why: "its tid is not"},
		"required and other":          {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": "9f2e"} }, claims: object{"tid": "9F2E"}, why: "its tid is not"},
		"required and another type":   {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": "1"} }, claims: object{"tid": 1}, why: "its tid is not"},
		"required and in a list":      {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": "1"} }, claims: object{"tid": list{"1"}}, why: "its tid is not"},
		"required false and missing":  {change: func(i *uma.TrustedIssuer) { i.Require = object{"guest": false} }, why: "its guest is not"},
		"required of an unknown type": {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": list{"1"}} }, claims: object{"tid": list{"1"}}, why: "its tid is not"},
		"required null":               {change: func(i *uma.TrustedIssuer) { i.Require = object{"tid": nil} }, claims: object{"tid": json.RawMessage("null")}, why: "its tid is not"},

		"groups": {
			change: group(path("groups"), "/example"), claims: object{"groups": list{"b", "/a", "b", "c/d"}},
			check: func(t *uma.TrustedToken) (any, any) {
				return t.Groups, []string{"/example/a", "/example/b", "/example/c/d"}
			},
		},
		"only some groups": {
			change: group(path("groups"), "/example", "staff", "/admins"), claims: object{"groups": list{"/staff", "admins", "root", "Staff"}},
			check: func(t *uma.TrustedToken) (any, any) { return t.Groups, []string{"/example/admins", "/example/staff"} },
		},
		"only some groups, no prefix": {
			change: group(path("groups"), "", "staff"), claims: object{"groups": list{"staff", "root"}},
			check: func(t *uma.TrustedToken) (any, any) { return t.Groups, []string{"/staff"} },
		},
		"one group as a text": {
			change: group(path("groups"), "/x"), claims: object{"groups": "staff"},
			check: func(t *uma.TrustedToken) (any, any) { return t.Groups, []string{"/x/staff"} },
		},
		"no groups, and known": {
			change: group(path("groups"), "/x"), claims: object{"groups": list{}},
			check: func(t *uma.TrustedToken) (any, any) { return []any{t.Groups, t.GroupsKnown}, []any{[]string{}, true} },
		},
		"groups that are not mapped are not known": {claims: object{"groups": list{"a"}}, check: func(t *uma.TrustedToken) (any, any) {
			return []any{t.Groups, t.GroupsKnown}, []any{[]string(nil), false}
		}},
		"missing groups":           {change: group(path("groups"), "/x"), why: "groups are missing"},
		"null groups":              {change: group(path("groups"), "/x"), claims: object{"groups": json.RawMessage("null")}, why: "groups are missing"},
		"groups elsewhere":         {change: group(path("groups"), "/x"), claims: object{"_claim_names": object{"groups": "src1"}}, why: "groups are missing"},
		"some groups elsewhere":    {change: group(path("groups"), "/x"), claims: object{"groups": list{"a"}, "_claim_names": object{"groups": "src1"}}, why: "incomplete"},
		"hasgroups":                {change: group(path("groups"), "/x"), claims: object{"groups": list{"a"}, "hasgroups": true}, why: "incomplete"},
		"hasgroups as a text":      {change: group(path("groups"), "/x"), claims: object{"groups": list{"a"}, "hasgroups": "true"}, why: "incomplete"},
		"_claim_names of no kind":  {change: group(path("groups"), "/x"), claims: object{"groups": list{"a"}, "_claim_names": list{}}, why: "incomplete"},
		"mapped roles elsewhere":   {change: group(path("roles"), "/x"), claims: object{"roles": list{"a"}, "_claim_names": object{"roles": "src1"}}, why: "incomplete"},
		"something else elsewhere": {change: group(path("groups"), "/x"), claims: object{"groups": list{"a"}, "_claim_names": object{"address": "src1"}}, check: func(t *uma.TrustedToken) (any, any) { return t.GroupsKnown, true }},
		"optional groups, missing": {change: optional, check: func(t *uma.TrustedToken) (any, any) {
			return []any{t.Groups, t.GroupsKnown}, []any{[]string(nil), false}
		}},
		"optional groups, elsewhere": {change: optional, claims: object{"groups": list{"a"}, "hasgroups": true}, check: func(t *uma.TrustedToken) (any, any) {
			return []any{t.Groups, t.GroupsKnown}, []any{[]string(nil), false}
		}},
		"optional groups, there": {change: optional, claims: object{"groups": list{"a"}}, check: func(t *uma.TrustedToken) (any, any) {
			return []any{t.Groups, t.GroupsKnown}, []any{[]string{"/a"}, true}
		}},
		"optional groups of no kind": {change: optional, claims: object{"groups": 1}, why: "not a list of names"},
		"a group that is a number":   {change: group(path("groups"), "/x"), claims: object{"groups": list{"a", 1}}, why: "not a list of names"},
		"a group without a name":     {change: group(path("groups"), "/x"), claims: object{"groups": list{""}}, why: "not a list of names"},
		"a group of slashes":         {change: group(path("groups"), "/x"), claims: object{"groups": list{"//a"}}, why: "the name of a group"},
		"a group that is the prefix": {change: group(path("groups"), "/x"), claims: object{"groups": list{"/"}}, why: "the name of a group"},
		"a group in disguise":        {change: group(path("groups"), "/x"), claims: object{"groups": list{"a\u200b"}}, why: "the name of a group"},
		"a nested path of groups":    {change: group(path("a.b", "c"), "/x"), claims: object{"a.b": object{"c": list{"g"}}}, check: func(t *uma.TrustedToken) (any, any) { return t.Groups, []string{"/x/g"} }},

		"no roles":            {check: func(t *uma.TrustedToken) (any, any) { return t.Roles, []string(nil) }},
		"roles of clients":    {claims: object{"realm_access": object{"roles": list{"photos-api/admin", "uma_protection", "a"}}}, check: func(t *uma.TrustedToken) (any, any) { return t.Roles, []string{"a"} }},
		"roles of no kind":    {claims: object{"realm_access": object{"roles": object{}}}, why: "roles are not"},
		"a role that is null": {claims: object{"realm_access": object{"roles": list{nil}}}, why: "roles are not"},
		"a role in disguise":  {claims: object{"realm_access": object{"roles": list{"ok", "ad\u200bmin"}}}, why: "roles are not"},

		"a key":    {claims: object{"cnf": object{"jkt": "x"}}, check: func(t *uma.TrustedToken) (any, any) { return t.KeyBound, true }},
		"cnf null": {claims: object{"cnf": json.RawMessage("null")}, check: func(t *uma.TrustedToken) (any, any) { return t.KeyBound, true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := *s.issuer
			if test.change != nil {
				test.change(&issuer)
			}
			o := s.with(&issuer)
			got, err := o.Verify(t.Context(), o.snap, signText(t, edKey, "EdDSA", headerText("EdDSA", "ed", "JWT"), s.payload(t, test.claims)))
			if test.why != "" {
				if e := refused(t, err); !strings.Contains(e.Why, test.why) || e.Issuer != "example" {
					t.Errorf("got %v, want %q", e, test.why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := test.check(got); !reflect.DeepEqual(got, want) {
				t.Errorf("got %#v, want %#v", got, want)
			}
		})
	}
}

// with is the same signer in a realm that trusts this issuer alone.
func (s *signer) with(issuer *uma.TrustedIssuer) *signer {
	realm := s.snap.Realm
	realm.Issuers = []uma.TrustedIssuer{*issuer}
	other := *s
	other.snap = uma.NewSnapshot(realm, nil, nil)
	other.issuer = &other.snap.Realm.Issuers[0]
	other.Service = &Service{Realms: s.Realms, Now: s.Now, Log: s.Log}
	return &other
}

// Only an address that the issuer says it has verified, or is the authority on, is proved.
func TestEmail(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	for name, test := range map[string]struct {
		path     []string // default: email
		claims   object
		want     string
		verified bool
	}{
		"none":                          {claims: object{}},
		"not said":                      {claims: object{"email": "a@b.org"}, want: "a@b.org"},
		"verified":                      {claims: object{"email": "A@B.org", "email_verified": true}, want: "a@b.org", verified: true},
		"verified as a text":            {claims: object{"email": "a@b.org", "email_verified": "true"}, want: "a@b.org"},
		"verified as a number":          {claims: object{"email": "a@b.org", "email_verified": 1}, want: "a@b.org"},
		"the issuer's own domain":       {claims: object{"email": "a@Example.com"}, want: "a@example.com", verified: true},
		"its own domain, denied":        {claims: object{"email": "ceo@example.com", "email_verified": false}, want: "ceo@example.com"},
		"its own domain, said oddly":    {claims: object{"email": "ceo@example.com", "email_verified": "yes"}, want: "ceo@example.com"},
		"a domain below its own":        {claims: object{"email": "a@x.example.com"}, want: "a@x.example.com"},
		"a domain that ends like it":    {claims: object{"email": "a@evilexample.com"}, want: "a@evilexample.com"},
		"a domain with a dot after":     {claims: object{"email": "a@example.com."}, want: "a@example.com."},
		"a domain that folds to it":     {claims: object{"email": "a@eſample.com"}, want: "a@eſample.com"},
		"a Kelvin sign is no k":         {claims: object{"email": "\u212aim@example.com"}, want: "\u212aim@example.com", verified: true},
		"a blank in it":                 {claims: object{"email": "a b@example.com"}},
		"another claim, verified":       {path: []string{"upn"}, claims: object{"upn": "ceo@b.org", "email": "me@b.org", "email_verified": true}, want: "ceo@b.org"},
		"another claim, its own domain": {path: []string{"upn"}, claims: object{"upn": "ceo@example.com"}, want: "ceo@example.com", verified: true},
		"another place, verified":       {path: []string{"profile", "email"}, claims: object{"profile": object{"email": "a@b.org"}, "email_verified": true}, want: "a@b.org"},
		"beside it, verified":           {path: []string{"profile", "email"}, claims: object{"profile": object{"email": "a@b.org", "email_verified": true}}, want: "a@b.org", verified: true},
		"two addresses":                 {claims: object{"email": "a@b.org@example.com", "email_verified": true}},
		"a list":                        {claims: object{"email": "a@b.org, c@example.com", "email_verified": true}},
		"no domain":                     {claims: object{"email": "a@", "email_verified": true}},
		"no name":                       {claims: object{"email": "@example.com", "email_verified": true}},
		"no at":                         {claims: object{"email": "example.com", "email_verified": true}},
		"nowhere":                       {path: []string{}, claims: object{"email": "a@example.com", "email_verified": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSigner(t)
			if test.path != nil {
				s.issuer.Map.Email = test.path
			}
			got, err := s.Verify(t.Context(), s.snap, s.token(t, "ed", "EdDSA", test.claims))
			if err != nil || got.Email != test.want || got.EmailVerified != test.verified {
				t.Errorf("got %+v, %v, want %q, %t", got, err, test.want, test.verified)
			}
		})
	}
}

// ID tokens and access tokens are told apart by what issuers write; an application's own token
// is no user's.
func TestKinds(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	type object = map[string]any
	for name, test := range map[string]struct {
		typ         string // of the header
		claims      object
		kind        uma.TokenKind
		application bool
	}{
		"RFC 9068":                 {typ: "at+jwt", kind: uma.AccessToken},
		"RFC 9068 with a nonce":    {typ: "at+jwt", claims: object{"nonce": "n"}, kind: uma.AccessToken},
		"Keycloak's access token":  {typ: "JWT", claims: object{"typ": "Bearer", "nonce": "n"}, kind: uma.AccessToken},
		"Keycloak's DPoP token":    {typ: "JWT", claims: object{"typ": "DPoP", "cnf": object{"jkt": "x"}}, kind: uma.AccessToken},
		"Keycloak's ID token":      {typ: "JWT", claims: object{"typ": "ID"}, kind: uma.IDToken},
		"an ID token with nonce":   {typ: "JWT", claims: object{"nonce": "n"}, kind: uma.IDToken},
		"an ID token with at_hash": {typ: "JWT", claims: object{"at_hash": "h", "azp": "guid", "aud": "guid"}, kind: uma.IDToken},
		"an ID token with c_hash":  {typ: "JWT", claims: object{"c_hash": "h"}, kind: uma.IDToken},
		"an ID token with s_hash":  {typ: "JWT", claims: object{"s_hash": "h"}, kind: uma.IDToken},
		"for a client":             {typ: "JWT", claims: object{"azp": nil, "aud": "guid"}, kind: uma.IDToken},
		"for a client, of another": {typ: "JWT", claims: object{"azp": "guid", "aud": "api-guid"}, kind: uma.AccessToken},
		"for an API":               {typ: "JWT", claims: object{"azp": nil, "aud": "umpire"}, kind: uma.AccessToken},
		"for an API, client_id":    {typ: "JWT", claims: object{"azp": nil, "client_id": "x", "aud": "guid"}, kind: uma.AccessToken},
		"plain":                    {typ: "JWT", kind: uma.AccessToken},
		"Entra's application":      {typ: "JWT", claims: object{"idtyp": "app"}, kind: uma.AccessToken, application: true},
		"Entra's user":             {typ: "JWT", claims: object{"idtyp": "user"}, kind: uma.AccessToken},
		"Okta's application":       {typ: "JWT", claims: object{"sub": "guid"}, kind: uma.AccessToken, application: true},
		"Auth0's application":      {typ: "JWT", claims: object{"sub": "guid@clients", "gty": "client-credentials"}, kind: uma.AccessToken, application: true},
		"Auth0's, without gty":     {typ: "JWT", claims: object{"sub": "guid@clients"}, kind: uma.AccessToken, application: true},
		"Keycloak's":               {typ: "JWT", claims: object{"typ": "Bearer", "client_id": "guid", "preferred_username": "service-account-guid"}, kind: uma.AccessToken, application: true},
		"a user called like that":  {typ: "JWT", claims: object{"typ": "Bearer", "preferred_username": "service-account-guid"}, kind: uma.AccessToken},
		"another application's":    {typ: "JWT", claims: object{"typ": "Bearer", "client_id": "x", "preferred_username": "service-account-x"}, kind: uma.AccessToken},
		"no client":                {typ: "at+jwt", claims: object{"azp": nil, "sub": "@clients"}, kind: uma.AccessToken},
		"by the mapped subject":    {typ: "JWT", claims: object{"sub": "s", "oid": "guid"}, kind: uma.AccessToken, application: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer := *s.issuer
			if _, ok := test.claims["oid"]; ok {
				issuer.Map.Subject.AccessToken = uma.ClaimPath{"oid"}
			}
			o := s.with(&issuer)
			got, err := o.Verify(t.Context(), o.snap, signText(t, edKey, "EdDSA", headerText("EdDSA", "ed", test.typ), s.payload(t, test.claims)))
			if err != nil || got.Kind != test.kind || got.Application != test.application {
				t.Errorf("got %+v, %v, want %s, %t", got, err, test.kind, test.application)
			}
			if err != nil {
				return
			}
			if _, err := got.Client(uma.UseBearer, nil); err == nil && (test.kind == uma.IDToken || got.KeyBound) {
				t.Error("is taken as a bearer")
			}
		})
	}
}
