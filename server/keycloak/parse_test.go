package keycloak

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

func TestParseResource(t *testing.T) {
	t.Parallel()
	scopes := func(names ...uma.Scope) *protection.ResourceInput {
		return &protection.ResourceInput{Name: "S", Scopes: names}
	}
	tests := []struct {
		name, body string
		want       *protection.ResourceInput
	}{
		{"name alone", `{"name":"S"}`, &protection.ResourceInput{Name: "S"}},
		{"everything", `{"name":"S","displayName":"D","type":"t","icon_uri":"http://x/i.png","uris":["/a","/b"],"ownerManagedAccess":true,
			"owner":"alice","resource_scopes":["view"],"attributes":{"a":["1","2"],"b":"3"}}`, &protection.ResourceInput{
			Name: "S", DisplayName: "D", Type: "t", IconURI: "http://x/i.png", URIs: []string{"/a", "/b"}, OwnerManaged: true,
			Owner: "alice", Scopes: []uma.Scope{"view"}, Attributes: map[string][]string{"a": {"1", "2"}, "b": {"3"}},
		}},
		{"resource_scopes, strings", `{"name":"S","resource_scopes":["view","print"]}`, scopes("view", "print")},
		{"resource_scopes, objects", `{"name":"S","resource_scopes":[{"name":"view","id":"x","iconUri":"i"}]}`, scopes("view")},
		{"scopes, strings", `{"name":"S","scopes":["view"]}`, scopes("view")},
		{"scopes, objects", `{"name":"S","scopes":[{"name":"view"}]}`, scopes("view")},
		{"both, as GET has them", `{"name":"S","resource_scopes":[{"name":"view"}],"scopes":[{"name":"view"}]}`, scopes("view")},
		{"both, different", `{"name":"S","resource_scopes":["view"],"scopes":["print"]}`, scopes("view")},
		{"a scope twice", `{"name":"S","scopes":["view","view"]}`, scopes("view")},
		{"uri", `{"name":"S","uri":"/one"}`, &protection.ResourceInput{Name: "S", URIs: []string{"/one"}}},
		{"uri and uris", `{"name":"S","uri":"/one","uris":["/two"]}`, &protection.ResourceInput{Name: "S", URIs: []string{"/two", "/one"}}},
		{"owner by id", `{"name":"S","owner":{"id":"u1","name":"alice"}}`, &protection.ResourceInput{Name: "S", Owner: "u1"}},
		{"owner by name", `{"name":"S","owner":{"name":"alice"}}`, &protection.ResourceInput{Name: "S", Owner: "alice"}},
		{"owner of an issuer", `{"name":"S","owner":{"iss":"https://i","sub":"s"}}`, &protection.ResourceInput{Name: "S", OwnerID: uma.SubjectIDOf("https://i", "s")}},
		{"owner by id, no issuer", `{"name":"S","owner":{"id":"u1","iss":null,"sub":null}}`, &protection.ResourceInput{Name: "S", Owner: "u1"}},
		{"no attributes", `{"name":"S","attributes":{}}`, &protection.ResourceInput{Name: "S", Attributes: map[string][]string{}}},
		{"nulls", `{"name":"S","type":null,"uris":null,"owner":null,"scopes":null,"attributes":null,"ownerManagedAccess":null}`, &protection.ResourceInput{Name: "S"}},
		{"unknown members", `{"name":"S","x":{"y":[1]},"user_access_policy_uri":"u","Name":"T"}`, &protection.ResourceInput{Name: "S"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := wire.ParseJSON(tt.body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseResource(v)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.URIs) == 0 {
				got.URIs = nil
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseResourceRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, want string }{
		{``, "a resource must be a JSON object"},
		{`null`, "a resource must be a JSON object"},
		{`[]`, "a resource must be a JSON object"},
		{`{}`, "name is missing"},
		{`{"name":""}`, "name is missing"},
		{`{"Name":"S"}`, "name is missing"},
		{`{"name":1}`, "name must be a string"},
		{`{"name":"S","type":[]}`, "type must be a string"},
		{`{"name":"S","icon_uri":{}}`, "icon_uri must be a string"},
		{`{"name":"S","uris":"/a"}`, "uris must be an array of strings"},
		{`{"name":"S","uris":[1]}`, "uris must be an array of strings"},
		{`{"name":"S","uris":[""]}`, "uris must not hold an empty string"},
		{`{"name":"S","uri":""}`, "uris must not hold an empty string"},
		{`{"name":"S","resource_scopes":"view"}`, "resource_scopes must be an array"},
		{`{"name":"S","scopes":{}}`, "scopes must be an array"},
		{`{"name":"S","scopes":[null]}`, "each of scopes must be a string, or an object with a name"},
		{`{"name":"S","scopes":[["view"]]}`, "each of scopes must be a string, or an object with a name"},
		{`{"name":"S","scopes":[{}]}`, "each of scopes must have a name that is a string"},
		{`{"name":"S","scopes":[{"name":1}]}`, "each of scopes must have a name that is a string"},
		{`{"name":"S","owner":""}`, "owner must be a string, or an object with an id or a name"},
		{`{"name":"S","owner":{}}`, "owner must be a string, or an object with an id or a name"},
		{`{"name":"S","owner":["alice"]}`, "owner must be a string, or an object with an id or a name"},
		{`{"name":"S","owner":{"id":1}}`, "id must be a string"},
		{`{"name":"S","owner":{"iss":"https://i"}}`, "owner must have iss and sub, and nothing else: both are strings"},
		{`{"name":"S","ownerManagedAccess":"true"}`, "ownerManagedAccess must be true or false"},
		{`{"name":"S","attributes":[]}`, "attributes must be an object"},
		{`{"name":"S","attributes":{"a":1}}`, "the values in attributes must be strings or arrays of strings"},
		{`{"name":"S","attributes":{"a":[1]}}`, "the values in attributes must be strings or arrays of strings"},
		{`{"name":"S","attributes":{"a":null}}`, "the values in attributes must be strings or arrays of strings"},
	}
	for _, tt := range tests {
		v, err := wire.ParseJSON(tt.body)
		if err == nil {
			_, err = parseResource(v)
		}
		if got := description(t, err); got != "invalid_request: "+tt.want {
			t.Errorf("%s: got %s, want %s", tt.body, got, tt.want)
		}
	}
}

func description(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*uma.Error](err)
	if !ok {
		t.Fatalf("got error %v, want an *uma.Error", err)
	}
	return fmt.Sprintf("%s: %s", e.Reason, Sentence(e))
}

func TestParsePermissions(t *testing.T) {
	t.Parallel()
	tests := []struct{ body, want string }{
		{`[{"resource_id":"r","resource_scopes":["view"]}]`, "[{0 r [view] map[]}]"},
		{`{"resource_id":"r","resource_scopes":["view"]}`, "[{0 r [view] map[]}]"},
		{`[{"resource_id":"r"},{"resource_scopes":["a","b"]}]`, "[{0 r [] map[]} {0  [a b] map[]}]"},
		{`[{"resource_id":"r","claims":{"k":["v","w"],"s":"x"}}]`, "[{0 r [] map[k:[v w] s:[x]]}]"},
		{`[{"resource_id":"r","resource_server_id":"other","x":1}]`, "[{0 r [] map[]}]"},
		{`[{}]`, "[{0  [] map[]}]"}, // the core says what is missing

		{``, "invalid_permission_request: "},
		{`null`, "invalid_permission_request: "},
		{`[]`, "invalid_permission_request: "},
		{`"r"`, "invalid_permission_request: "},
		{`[null]`, "invalid_permission_request: "},
		{`["r"]`, "invalid_permission_request: "},
		{`[[{"resource_id":"r"}]]`, "invalid_permission_request: "},
		{`[{"resource_id":"","resource_scopes":["view"]}]`, "invalid_resource_id: Resource id or name not provided."},
		{`[{"resource_id":1}]`, "invalid_request: resource_id must be a string"},
		{`[{"resource_id":"r","resource_scopes":"view"}]`, "invalid_request: resource_scopes must be an array of strings"},
		{`[{"resource_id":"r","resource_scopes":[{"name":"view"}]}]`, "invalid_request: resource_scopes must be an array of strings"},
		{`[{"resource_id":"r","claims":["k"]}]`, "invalid_request: claims must be an object"},
		{`[{"resource_id":"r","claims":{"k":1}}]`, "invalid_request: the values in claims must be strings or arrays of strings"},
		{`[{"resource_id":"r","claims":{"k":[true]}}]`, "invalid_request: the values in claims must be strings or arrays of strings"},
	}
	for _, tt := range tests {
		v, err := wire.ParseJSON(tt.body)
		var p []protection.TicketPermission
		if err == nil {
			p, err = parsePermissions(v)
		}
		got := fmt.Sprint(p)
		if err != nil {
			got = description(t, err)
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.body, got, tt.want)
		}
	}
}

func TestParseQueries(t *testing.T) {
	t.Parallel()
	tests := []struct{ query, want string }{
		{"", "{ID: Name: URI: Owner: Type: Scope: ExactName:false MatchingURI:false First:0 Max:100} false"},
		{"_id=i&name=n&exactName=True&uri=%2Fu&matchingUri=true&owner=o&type=t&scope=s&deep=true&first=2&max=3",
			"{ID:i Name:n URI:/u Owner:o Type:t Scope:s ExactName:true MatchingURI:true First:2 Max:3} true"},
		{"name=&max=-1&first=-1&x=y", "{ID: Name: URI: Owner: Type: Scope: ExactName:false MatchingURI:false First:0 Max:-1} false"},
		{"max=0", "{ID: Name: URI: Owner: Type: Scope: ExactName:false MatchingURI:false First:0 Max:0} false"},
		{"max=", "invalid_request: max must be a number of at least -1"},
		{"max=-2", "invalid_request: max must be a number of at least -1"},
		{"first=x", "invalid_request: first must be a number of at least -1"},
		{"deep=", "invalid_request: deep must be true or false"},
		{"deep=1", "invalid_request: deep must be true or false"},
		{"exactName=yes", "invalid_request: exactName must be true or false"},
		{"matchingUri=yes", "invalid_request: matchingUri must be true or false"},
		{"name=a&name=b", "invalid_request: duplicated parameter: name"},
	}
	for _, tt := range tests {
		var got string
		params, err := wire.ParseForm(tt.query)
		if err == nil {
			var q *protection.ResourceQuery
			var deep bool
			if q, deep, err = parseResourceQuery(params); err == nil {
				got = fmt.Sprintf("%+v %v", *q, deep)
			}
		}
		if err != nil {
			got = description(t, err)
		}
		if got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.query, got, tt.want)
		}
	}
	for query, want := range map[string]string{
		"granted=":          "invalid_request: granted must be true or false",
		"returnNames=maybe": "invalid_request: returnNames must be true or false",
		"max=many":          "invalid_request: max must be a number of at least -1",
	} {
		params, err := wire.ParseForm(query)
		if err == nil {
			_, err = parseRequestQuery(params)
		}
		if got := description(t, err); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

// TestRepresentations holds the JSON against what was recorded, byte by byte:
// strict clients refuse a member that they do not know.
func TestRepresentations(t *testing.T) {
	t.Parallel()
	full := &uma.Resource{
		ID: "r1", Name: "Photo", DisplayName: "A photo", Type: "photo", IconURI: "http://x/i.png", URIs: []string{"/photo/1"},
		Scopes: []uma.Scope{"view", "print"}, Owner: "u1", OwnerManaged: true, Attributes: map[string][]string{"a": {"1", "2"}},
	}
	bare := &uma.Resource{ID: "r2", Name: "Bare", Owner: "u1"}
	rows := []uma.ScopeRow{{ID: "s1", Name: "view"}, {ID: "s2", Name: "print"}}
	req := &protection.RequestView{Request: uma.Request{
		ID: "q1", ResourceID: "r1", Owner: "u1", Requester: "u2", Scope: "view", ScopeID: "s1", State: uma.Granted, ResourceName: "Photo",
	}, OwnerName: "alice", RequesterName: "bob"}
	whole := &protection.RequestView{Request: uma.Request{ID: "q2", ResourceID: "r2", Owner: "u1", Requester: "u2", State: uma.Pending, ResourceName: "Bare"}}
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"read", showResource(full), `{"_id":"r1","name":"Photo","displayName":"A photo","type":"photo","icon_uri":"http://x/i.png","uris":["/photo/1"],"owner":{"id":"u1"},"ownerManagedAccess":true,"resource_scopes":[{"name":"view"},{"name":"print"}],"scopes":[{"name":"view"},{"name":"print"}],"attributes":{"a":["1","2"]}}`},
		{"read, bare", showResource(bare), `{"_id":"r2","name":"Bare","uris":[],"owner":{"id":"u1"},"ownerManagedAccess":false,"resource_scopes":[],"attributes":{}}`},
		{"created", createdResource(&protection.ResourceView{Resource: full, OwnerName: "alice", ScopeRows: rows}), `{"_id":"r1","name":"Photo","displayName":"A photo","type":"photo","icon_uri":"http://x/i.png","uris":["/photo/1"],"owner":{"id":"u1","name":"alice"},"ownerManagedAccess":true,"resource_scopes":[{"id":"s1","name":"view"},{"id":"s2","name":"print"}],"scopes":[{"id":"s1","name":"view"},{"id":"s2","name":"print"}]}`},
		{"created, bare", createdResource(&protection.ResourceView{Resource: bare, OwnerName: "photoz-api"}), `{"_id":"r2","name":"Bare","uris":[],"owner":{"id":"u1","name":"photoz-api"},"ownerManagedAccess":false,"resource_scopes":[]}`},
		{"request", showRequest(req, false), `{"id":"q1","owner":"u1","resource":"r1","scope":"s1","granted":true,"requester":"u2"}`},
		{"request with names", showRequest(req, true), `{"id":"q1","owner":"u1","resource":"r1","scope":"s1","granted":true,"requester":"u2","scopeName":"view","resourceName":"Photo","ownerName":"alice","requesterName":"bob"}`},
		{"request of a whole resource", showRequest(whole, false), `{"id":"q2","owner":"u1","resource":"r2","granted":false,"requester":"u2"}`},
		{"ticket", ticketBody{"t"}, `{"ticket":"t"}`},
	}
	for _, tt := range tests {
		got, err := json.Marshal(tt.v)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// TestEcho is what clients do to change a resource: they put back what they got.
func TestEcho(t *testing.T) {
	t.Parallel()
	r := &uma.Resource{
		ID: "r1", Name: "Photo", DisplayName: "A", Type: "photo", IconURI: "http://x/i.png", URIs: []string{"/photo/1"},
		Scopes: []uma.Scope{"view", "print"}, Owner: "u1", OwnerManaged: true, Attributes: map[string][]string{"a": {"1"}},
	}
	body, err := json.Marshal(showResource(r))
	if err != nil {
		t.Fatal(err)
	}
	v, err := wire.ParseJSON(string(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseResource(v)
	if err != nil {
		t.Fatal(err)
	}
	want := &protection.ResourceInput{
		Name: "Photo", DisplayName: "A", Type: "photo", IconURI: "http://x/i.png", Owner: "u1", URIs: []string{"/photo/1"},
		Scopes: []uma.Scope{"view", "print"}, OwnerManaged: true, Attributes: map[string][]string{"a": {"1"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// FuzzResourceJSON: every body ends in a resource with a name, or in an
// *uma.Error.
func FuzzResourceJSON(f *testing.F) {
	for _, seed := range []string{
		`{"name":"S","scopes":[{"name":"view"}],"owner":{"id":"u"},"attributes":{"a":"b"}}`,
		`{"name":"S","uri":"/a","uris":[]}`, `{"name":null}`, `[]`, `{`, `{"name":"S","name":"T"}`, `{"name":"\ud800"}`,
		`{"name":"S","owner":{"iss":"https://i","sub":"s","format":"iss_sub"}}`, `{"name":"S","owner":{"iss":"https://i","id":"u"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := wire.ParseJSON(body)
		var in *protection.ResourceInput
		if err == nil {
			in, err = parseResource(v)
		}
		if err != nil {
			description(t, err)
			return
		}
		if in.Name == "" {
			t.Errorf("%q has no name and is accepted", body)
		}
		if y := in.OwnerID; y != nil && (in.Owner != "" || y.Issuer == "" || y.Subject == "" || y.Format != "iss_sub") {
			t.Errorf("%q has the owners %q and %+v", body, in.Owner, y)
		}
	})
}

// FuzzPermissionJSON: the same of permission requests.
func FuzzPermissionJSON(f *testing.F) {
	for _, seed := range []string{`[{"resource_id":"r","resource_scopes":["a"],"claims":{"k":["v"]}}]`, `{"resource_id":"r"}`, `[null]`, `[]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		v, err := wire.ParseJSON(body)
		var p []protection.TicketPermission
		if err == nil {
			p, err = parsePermissions(v)
		}
		if err != nil {
			description(t, err)
			return
		}
		if len(p) == 0 {
			t.Errorf("%q asks for nothing and is accepted", body)
		}
	})
}
