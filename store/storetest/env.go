package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"example.com/umpire/uma"
)

// now is when the tests take place. It has a fraction of a millisecond, and a zone
// that is not UTC, for a store to get wrong.
var now = time.Date(2026, 3, 29, 1, 59, 59, 999_999_999, time.FixedZone("", 3600))

// kept is the form in which a store returns a time.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// An env is a store with two realms: photoz, with two resource servers (api,
// second) and the users alice and bob, and elsewhere, with the same names in it.
type env struct {
	t    *testing.T
	s    uma.Store
	last atomic.Int64 // of the ids made

	photoz, elsewhere        *uma.Snapshot
	realm, otherRealm        uma.Key
	api, second, foreign     uma.Key
	apiUUID                  string
	alice, bob, foreignAlice string // subject ids
}

func newEnv(t *testing.T, s uma.Store) *env {
	e := &env{t: t, s: s}
	e.apply(e.realmFile("photoz"))
	e.apply(e.realmFile("elsewhere"))
	e.photoz, e.elsewhere = e.snapshot("photoz"), e.snapshot("elsewhere")
	e.realm, e.otherRealm = e.photoz.Realm.Key, e.elsewhere.Realm.Key
	e.api, e.second = e.photoz.Clients["api"].Key, e.photoz.Clients["second"].Key
	e.foreign = e.elsewhere.Clients["api"].Key
	e.apiUUID = e.photoz.Clients["api"].UUID
	e.alice, e.bob = e.user(e.realm, "alice").ID, e.user(e.realm, "bob").ID
	e.foreignAlice = e.user(e.otherRealm, "alice").ID
	return e
}

// newID returns a new id.
func (e *env) newID() string { return fmt.Sprintf("id-%06d", e.last.Add(1)) }

// realmFile returns a small realm, which tests change as they need.
func (e *env) realmFile(name string) *uma.RealmChange {
	return &uma.RealmChange{
		Realm: uma.Realm{Name: name, Enabled: true, SigningAlg: "ES256",
			Policy: uma.PolicySettings{ResubmitAfter: 24 * time.Hour}},
		Clients: []*uma.Client{
			{ID: "api", UUID: e.newID(), Secret: []byte("secret"), Enabled: true, ResourceServer: true},
			{ID: "second", UUID: e.newID(), Secret: []byte("secret"), Enabled: true, ResourceServer: true},
			{ID: "web", UUID: e.newID(), Enabled: true, Public: true},
		},
		Users: []*uma.User{
			{ID: e.newID(), Username: "alice", Password: "hash", Enabled: true, Roles: []string{"user"}},
			{ID: e.newID(), Username: "bob", Password: "hash", Enabled: true, Roles: []string{"user"}},
		},
		Fingerprint: []byte("fingerprint of " + name),
		Now:         now,
	}
}

// fileResource is a resource of a realm file.
func (e *env) fileResource(name, owner string, scopes ...uma.Scope) uma.ResourceChange {
	c := uma.ResourceChange{
		Resource: uma.Resource{ID: uma.ResourceID(e.newID()), Name: name, Type: "album", Scopes: scopes, OwnerManaged: true},
		ServerID: "api", OwnerName: owner, GeneratedID: true,
	}
	for range scopes {
		c.ScopeIDs = append(c.ScopeIDs, e.newID())
	}
	return c
}

func (e *env) apply(c *uma.RealmChange) *uma.RealmReport {
	e.t.Helper()
	report, err := e.s.ApplyRealm(e.t.Context(), c)
	e.must(err)
	return report
}

func (e *env) snapshot(realm string) *uma.Snapshot {
	e.t.Helper()
	s, err := e.s.Snapshot(e.t.Context(), realm, now)
	e.must(err)
	return s
}

func (e *env) generation() int64 {
	e.t.Helper()
	g, err := e.s.Generation(e.t.Context())
	e.must(err)
	return g
}

// view opens a view that is closed with the test, unless the test does. A store that keeps rows
// in memory must show nothing else.
func (e *env) view() uma.View {
	e.t.Helper()
	v, err := e.s.CachedView(e.t.Context())
	e.must(err)
	return v
}

// reading calls f with a view of its own.
func (e *env) reading(f func(v uma.View)) {
	e.t.Helper()
	v := e.view()
	defer func() { e.must(v.Close()) }()
	f(v)
}

// epoch returns that of a view which is opened now, after a grant that rested on the realm.
func (e *env) epoch() (epoch uma.Epoch) {
	e.t.Helper()
	rests := &uma.Rests{Generation: e.snapshot("photoz").Realm.Generation}
	e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, RestsOn: rests}))
	e.reading(func(v uma.View) {
		_, err := v.User(e.t.Context(), e.realm, e.alice)
		e.must(err)
		epoch = v.Epoch()
	})
	return epoch
}

// read returns what f reads in a view of its own.
func read[T any](e *env, f func(v uma.View) (T, error)) (got T) {
	e.t.Helper()
	e.reading(func(v uma.View) {
		var err error
		got, err = f(v)
		e.must(err)
	})
	return got
}

// find is read for f that may return uma.ErrNotFound; then it returns nil.
func find[T any](e *env, f func(v uma.View) (*T, error)) *T {
	e.t.Helper()
	return read(e, func(v uma.View) (*T, error) {
		got, err := f(v)
		if errors.Is(err, uma.ErrNotFound) {
			return nil, nil
		}
		return got, err
	})
}

func (e *env) user(realm uma.Key, name string) *uma.User {
	e.t.Helper()
	return read(e, func(v uma.View) (*uma.User, error) { return v.UserByName(e.t.Context(), realm, name) })
}

// resource returns a resource of alice at the resource server api, as of the API.
func (e *env) resource(name string, scopes ...uma.Scope) *uma.Resource {
	return &uma.Resource{
		ID: uma.ResourceID(e.newID()), Server: e.api, Owner: e.alice, Name: name, Type: "album",
		Scopes: scopes, OwnerManaged: true, Origin: uma.FromAPI,
	}
}

// create stores a resource.
func (e *env) create(r *uma.Resource) *uma.Resource {
	e.t.Helper()
	e.must(e.s.CreateResource(e.t.Context(), r, e.newID))
	return r
}

// get reads a resource, nil if it is not found.
func (e *env) get(server uma.Key, id uma.ResourceID) *uma.Resource {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.Resource, error) { return v.Resource(e.t.Context(), server, id) })
}

// request returns a pending request for a scope of a resource of alice.
func (e *env) request(r *uma.Resource, requester string, scope uma.Scope) *uma.Request {
	return &uma.Request{
		ID: e.newID(), Server: r.Server, Resource: r.Key, ResourceID: r.ID, Owner: r.Owner, Requester: requester,
		Scope: scope, State: uma.Pending, Created: now, ResourceName: r.Name,
	}
}

// share stores a granted request.
func (e *env) share(r *uma.Resource, requester string, scope uma.Scope) *uma.Request {
	e.t.Helper()
	q := e.request(r, requester, scope)
	q.State, q.Decided = uma.Granted, now
	e.must(e.s.CreateRequest(e.t.Context(), q))
	return q
}

// getRequest reads a request, nil if it is not found.
func (e *env) getRequest(id string) *uma.Request {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.Request, error) { return v.Request(e.t.Context(), e.api, id) })
}

func (e *env) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// wantErr checks that err is the one that is promised.
func (e *env) wantErr(what string, err, want error) {
	e.t.Helper()
	if !errors.Is(err, want) {
		e.t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// want compares any two values.
func (e *env) want(what string, got, want any) {
	e.t.Helper()
	if !reflect.DeepEqual(got, want) {
		e.t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}

// wantSet compares two lists without their order.
func wantSet[T ~string](e *env, what string, got []T, want ...T) {
	e.t.Helper()
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		e.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// wantNoZeroFields fails if a field of v has its zero value: a store that loses the
// field would pass the test.
func (e *env) wantNoZeroFields(v any, except ...string) {
	e.t.Helper()
	for _, path := range zeroes(reflect.ValueOf(v), "") {
		if !slices.Contains(except, path) {
			e.t.Errorf("the sample has nothing in %T%s", v, path)
		}
	}
}

func zeroes(v reflect.Value, path string) []string {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() || v.IsZero() {
		return []string{path}
	}
	var found []string
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			found = append(found, zeroes(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		for i := range v.Len() {
			found = append(found, zeroes(v.Index(i), path)...)
		}
	}
	return found
}
