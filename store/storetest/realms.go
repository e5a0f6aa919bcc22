package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// fullRealm is a realm with no setting at its zero value.
func fullRealm(name string) uma.Realm {
	return uma.Realm{
		Name: name, Enabled: true, Profile: "keycloak",
		Lifetimes: uma.Lifetimes{Access: time.Minute, RPT: 2 * time.Minute, Refresh: time.Hour, Session: 10 * time.Hour,
			Ticket: 2 * time.Second, PCT: 24 * time.Hour},
		SigningAlg: "RS256", TicketReuse: true, SinkHold: time.Hour,
		Policy: uma.PolicySettings{Bundle: "/policies", AllOrNothing: true, Timeout: 100 * time.Millisecond,
			MaxPermissions: 200, ResubmitAfter: time.Hour, Entrypoint: "data.uma.authz.decision",
			Removed: []string{"uma.guardrails"}, Shadow: "/next", Manual: true, DecideAnew: true,
			Gates: uma.Gates{Lint: uma.GateWarns, Tests: uma.GateOff, Coverage: uma.GateBlocks, Impact: uma.GateBlocks, MinCoverage: 90, MaxGranted: 1, MaxRefused: 2},
			OPA:   &uma.OPASettings{Source: "service registry, resource bundles/a", Sealed: []byte{1, 255}, Fingerprint: []byte{0}}},
		Issuers: []uma.TrustedIssuer{fullIssuer()},
	}
}

func fullIssuer() uma.TrustedIssuer {
	return uma.TrustedIssuer{
		Issuer: "https://idp.example.com", Alias: "idp", JWKSURI: "https://idp.example.com/jwks", JWKS: []byte(`{"keys":[]}`),
		Audiences: []string{"api"}, Clients: map[string]string{"theirs": "ours", uma.AnyClient: "other"}, Algorithms: []string{"ES256"},
		Accept: []uma.TokenUse{uma.UseClaims}, Require: map[string]any{"tid": "a", "n": json.Number("1.50"), "yes": true},
		Leeway: time.Second, AllowPrivate: true, CA: []byte("PEM"), EmailDomains: []string{"example.com"}, Claims: []string{"license"},
		Bind: uma.BindEmail,
		Map: uma.ClaimsMap{
			Subject: uma.SubjectPath{AccessToken: uma.ClaimPath{"uid"}, IDToken: uma.ClaimPath{"sub"}}, Client: uma.ClaimPath{"azp"},
			Username: uma.ClaimPath{"preferred_username"}, Email: uma.ClaimPath{"email"},
			Groups: uma.GroupsMap{From: uma.ClaimPath{"groups"}, Prefix: "/idp", Only: []string{"staff"}, Optional: true},
			Roles:  uma.ClaimPath{"realm_access", "roles"}, ACR: uma.ClaimPath{"acr"},
			Attributes: map[string]uma.ClaimPath{"department": {"https://example.com/org", "dept"}},
		},
	}
}

func fullClient(id, uuid string) *uma.Client {
	return &uma.Client{
		ID: id, UUID: uuid, Secret: []byte{0, 1, 255}, Enabled: true, Public: true, ResourceServer: true,
		ServiceAccount: true, PasswordGrant: true, Roles: []string{"a"}, ClientRoles: map[string][]string{"api": {"b"}},
		Groups: []string{"/c"}, Claims: map[string]any{"d": "e", "n": json.Number("1.50")}, WebOrigins: []string{"http://localhost:3000"},
		ClaimsRedirectURIs: []string{"http://localhost:3000/claims"}, Scopes: []uma.Scope{"download"},
		TokenExchange: true, JWKS: []byte(`{"keys":[]}`), JWKSURI: "https://client.example.com/jwks",
	}
}

func (e *env) signingKey(alg string) uma.SigningKey {
	return uma.SigningKey{KID: e.newID(), Alg: alg, Public: []byte("public"), Sealed: []byte("sealed"), Created: now, Active: true}
}

// kids returns the ids of keys at a time: of those that sign, and of those that are
// only published.
func (e *env) kids(at time.Time) (active, published []string) {
	e.t.Helper()
	s, err := e.s.Snapshot(e.t.Context(), "photoz", at)
	e.must(err)
	for _, k := range s.Keys {
		if k.Active {
			active = append(active, k.KID)
		} else {
			published = append(published, k.KID)
		}
	}
	return active, published
}

var realmTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		c := e.realmFile("full")
		c.Realm = fullRealm("full")
		client := fullClient("client", e.newID())
		c.Clients = []*uma.Client{client}
		e.apply(c)
		c.Realm.Period = e.activated("full", "a", now)
		got := e.snapshot("full")
		want := c.Realm
		want.Key, want.Generation = got.Realm.Key, got.Realm.Generation
		e.wantNoZeroFields(want)
		e.want("realm", got.Realm, want)
		wantClient := *client
		wantClient.Origin, wantClient.Key = uma.FromFile, got.Clients["client"].Key
		e.wantNoZeroFields(wantClient)
		e.want("client", *got.Clients["client"], wantClient)
		e.want("client by UUID", got.ByUUID[client.UUID], got.Clients["client"])
		e.want("client by key", got.ByKey[wantClient.Key], got.Clients["client"])
		e.want("clients", len(got.Clients), 1)
	},

	"unknown": func(e *env) {
		_, err := e.s.Snapshot(e.t.Context(), "nowhere", now)
		e.wantErr("snapshot", err, uma.ErrNotFound)
		_, err = e.s.Snapshot(e.t.Context(), "PHOTOZ", now)
		e.wantErr("snapshot in another case", err, uma.ErrNotFound)
		e.wantErr("key", e.s.AddKey(e.t.Context(), "nowhere", e.signingKey("ES256"), time.Time{}), uma.ErrNotFound)
	},

	"names_are_sorted": func(e *env) {
		e.apply(e.realmFile("another"))
		got, err := e.s.RealmNames(e.t.Context())
		e.must(err)
		e.want("names", got, []string{"another", "elsewhere", "photoz"})
	},

	"client_ids_differ_by_case": func(e *env) {
		c := e.realmFile("photoz")
		c.Clients = append(c.Clients, &uma.Client{ID: "API", UUID: e.newID(), Enabled: true})
		e.apply(c)
		s := e.snapshot("photoz")
		if s.Clients["API"].Key == s.Clients["api"].Key {
			e.t.Error("API and api are one client")
		}
	},

	"fingerprint": func(e *env) {
		got, err := e.s.RealmFingerprint(e.t.Context(), "photoz")
		e.must(err)
		e.want("fingerprint", string(got), "fingerprint of photoz")
		got, err = e.s.RealmFingerprint(e.t.Context(), "nowhere")
		e.must(err)
		e.want("fingerprint of an unknown realm", got, []byte(nil))
	},

	"key_round_trip": func(e *env) {
		first, second := e.signingKey("ES256"), e.signingKey("ES256")
		e.must(e.s.AddKey(e.t.Context(), "photoz", first, time.Time{}))
		expires := now.Add(time.Hour)
		e.must(e.s.AddKey(e.t.Context(), "photoz", second, expires))
		keys := e.snapshot("photoz").Keys
		first.Active, first.Expires, first.Created = false, kept(expires), kept(now)
		second.Created = kept(now)
		e.wantNoZeroFields(first, ".Active")
		e.want("keys", keys, []uma.SigningKey{second, first})
	},

	"retired_key_is_published_until_it_expires": func(e *env) {
		first, second := e.signingKey("ES256"), e.signingKey("ES256")
		e.must(e.s.AddKey(e.t.Context(), "photoz", first, time.Time{}))
		expires := now.Add(time.Hour)
		e.must(e.s.AddKey(e.t.Context(), "photoz", second, expires))
		active, published := e.kids(expires.Add(-time.Millisecond))
		e.want("active", active, []string{second.KID})
		e.want("published", published, []string{first.KID})
		active, published = e.kids(expires)
		e.want("active, later", active, []string{second.KID})
		e.want("published, later", published, []string(nil))
	},

	"keys_of_two_algorithms": func(e *env) {
		es, rs := e.signingKey("ES256"), e.signingKey("RS256")
		e.must(e.s.AddKey(e.t.Context(), "photoz", es, time.Time{}))
		e.must(e.s.AddKey(e.t.Context(), "photoz", rs, now.Add(time.Hour)))
		active, published := e.kids(now)
		wantSet(e, "active", active, es.KID, rs.KID)
		e.want("published", published, []string(nil))
	},

	"key_is_added_only_if_there_is_none": func(e *env) {
		first, second := e.signingKey("ES256"), e.signingKey("ES256")
		before := e.generation()
		e.must(e.s.AddKey(e.t.Context(), "photoz", first, time.Time{}))
		raised := e.generation()
		if raised <= before {
			e.t.Errorf("a new key left the generation at %d", raised)
		}
		e.must(e.s.AddKey(e.t.Context(), "photoz", second, time.Time{}))
		active, _ := e.kids(now)
		e.want("active", active, []string{first.KID})
		e.want("generation after nothing was added", e.generation(), raised)
		e.want("keys of another realm", len(e.snapshot("elsewhere").Keys), 0)
	},

	"a_new_realm_has_its_key_before_it_can_be_seen": func(e *env) {
		c := e.realmFile("fresh")
		first := e.signingKey("ES256")
		c.Key = &first
		for i := range 600 { // more than a batch
			c.Resources = append(c.Resources, e.fileResource(fmt.Sprintf("Album %03d", i), "alice", "view"))
		}
		ctx, cancel := context.WithCancel(e.t.Context())
		c.Progress = func(int, int) { cancel() }
		_, err := e.s.ApplyRealm(ctx, c)
		e.wantErr("apply", err, context.Canceled)
		if k := e.snapshot("fresh").SigningKey(); k == nil || k.KID != first.KID {
			e.t.Errorf("got key %v of a realm whose apply was interrupted, want %s", k, first.KID)
		}
	},

	"a_change_adds_a_key_if_there_is_none": func(e *env) {
		c, first, second, other := e.realmFile("photoz"), e.signingKey("ES256"), e.signingKey("ES256"), e.signingKey("RS256")
		c.Key = &first
		e.raised("the first key", func() { e.want("report", lines(e.apply(c)), []string(nil)) })
		c.Key = &second
		e.unchanged(c)
		c.Key, c.Realm.SigningAlg = &other, "RS256"
		e.raised("a key of another algorithm", func() { e.apply(c) })
		active, _ := e.kids(now)
		wantSet(e, "active", active, first.KID, other.KID)
		e.want("keys of another realm", len(e.snapshot("elsewhere").Keys), 0)
	},

	"sealed_secrets": func(e *env) {
		ctx := e.t.Context()
		any, err := e.s.AnySealed(ctx)
		e.must(err)
		e.want("anything sealed in a new store", any, false)
		_, err = e.s.Sealed(ctx, "hmac")
		e.wantErr("unknown secret", err, uma.ErrNotFound)

		first, err := e.s.PutSealed(ctx, "hmac", []byte{0, 1})
		e.must(err)
		second, err := e.s.PutSealed(ctx, "hmac", []byte{2})
		e.must(err)
		if !bytes.Equal(first, []byte{0, 1}) || !bytes.Equal(second, first) {
			e.t.Errorf("got %v and then %v, want the first twice", first, second)
		}
		got, err := e.s.Sealed(ctx, "hmac")
		e.must(err)
		e.want("secret", got, []byte{0, 1})
		_, err = e.s.Sealed(ctx, "HMAC")
		e.wantErr("another case", err, uma.ErrNotFound)
		any, err = e.s.AnySealed(ctx)
		e.must(err)
		e.want("anything sealed", any, true)
	},

	"a_signing_key_counts_as_sealed": func(e *env) {
		e.must(e.s.AddKey(e.t.Context(), "photoz", e.signingKey("ES256"), time.Time{}))
		any, err := e.s.AnySealed(e.t.Context())
		e.must(err)
		e.want("anything sealed", any, true)
	},

	"generation_is_raised_by_administration_only": func(e *env) {
		before, realm := e.generation(), e.snapshot("photoz").Realm.Generation
		r := e.create(e.resource("Album", "view"))
		q := e.request(r, e.bob, "view")
		e.must(e.s.CreateRequest(e.t.Context(), q))
		e.must(e.s.DecideRequest(e.t.Context(), e.api, q.ID, true, now))
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket("t")))
		e.startSession("s", "handle")
		e.must(e.s.EndSession(e.t.Context(), e.realm, "s"))
		e.must(e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.realm, Now: now, Records: []uma.Record{e.record("d")}}))
		e.want("generation", e.generation(), before)
		e.want("generation of the realm", e.snapshot("photoz").Realm.Generation, realm)
	},

	"generation_of_one_realm_only": func(e *env) {
		before, all := e.snapshot("elsewhere").Realm.Generation, e.generation()
		c := e.realmFile("photoz")
		c.Realm.Enabled = false
		e.apply(c)
		e.want("generation of another realm", e.snapshot("elsewhere").Realm.Generation, before)
		if got := e.generation(); got <= all {
			e.t.Errorf("got generation %d of all realms, want more than %d", got, all)
		}
	},

	"types_in_use": func(e *env) {
		typed := func(name, kind string, server uma.Key) *uma.Resource {
			r := e.resource(name, "view")
			r.Type, r.Server = kind, server
			return e.create(r)
		}
		typed("A", "album", e.api)
		typed("B", "board", e.second)
		typed("C", "closet", e.foreign)
		typed("D", "", e.api)
		gone := typed("E", "gone", e.api)
		e.must(e.s.DeleteResource(e.t.Context(), e.api, gone.ID))
		for realm, want := range map[string][]string{"photoz": {"board", "album"}, "elsewhere": {"closet"}, "unknown": nil} {
			got, err := e.s.TypesInUse(e.t.Context(), realm, []string{"board", "closet", "albums", "gone", "album"})
			e.must(err)
			e.want(realm, got, want)
		}
		got, err := e.s.TypesInUse(e.t.Context(), "photoz", nil)
		e.must(err)
		e.want("of none", len(got), 0)

		c := e.realmFile("photoz")
		c.Clients[1].ResourceServer = false
		e.apply(c)
		got, err = e.s.TypesInUse(e.t.Context(), "photoz", []string{"board", "album"})
		e.must(err)
		e.want("of a client that is no resource server now", got, []string{"album"})
	},

	"names_of_the_file_that_was_applied_last": func(e *env) {
		names := func(realm string) *uma.PolicyNames {
			got, err := e.s.PolicyNames(e.t.Context(), realm, nil)
			e.must(err)
			return got
		}
		e.want("not kept", names("photoz"), &uma.PolicyNames{})
		file := e.realmFile("names")
		file.Names = &uma.FileNames{
			Users: true, Servers: []string{"api"}, Clients: []string{"api", "web"}, Roles: []string{"admin"}, Groups: []string{"/g"},
			ClientRoles: map[string][]string{"api": {"r"}}, Scopes: map[string][]string{"album": {"view"}}, AnyScope: []string{"all"},
			Attributes: map[string][]string{"album": {"a"}}, Claims: []string{"c"}, Resources: map[string]string{"album": "Album"},
		}
		e.wantNoZeroFields(file.Names)
		e.apply(file)
		e.want("kept", names("names").File, file.Names)
		file.Names = &uma.FileNames{Roles: []string{"user"}}
		e.apply(file)
		e.want("of another file", names("names").File, file.Names)
		file.Names = &uma.FileNames{Roles: []string{strings.Repeat("x", uma.MaxFileNames)}}
		e.apply(file)
		e.want("of a file with too many", names("names"), &uma.PolicyNames{})
		_, err := e.s.PolicyNames(e.t.Context(), "unknown", nil)
		e.wantErr("an unknown realm", err, uma.ErrNotFound)
	},

	"names_of_own_resources": func(e *env) {
		names := func(types ...string) *uma.PolicyNames {
			got, err := e.s.PolicyNames(e.t.Context(), "photoz", types)
			e.must(err)
			return got
		}
		theirs := e.resource("of alice", "fly")
		theirs.Type = "fleet"
		e.create(theirs)
		e.want("of a user", names("fleet"), &uma.PolicyNames{})
		own := e.resource("own", "view", "edit")
		own.Owner, own.Type = e.apiUUID, "board"
		e.create(own)
		bare := e.resource("bare")
		bare.Owner, bare.Type = e.apiUUID, "bare"
		e.create(bare)
		want := []uma.TypeScope{{Type: "board", Scope: "edit"}, {Type: "board", Scope: "view"}}
		e.want("of the server", names().Own, want)
		e.want("without scopes", names("bare", "fleet", "none").Own, append(want, uma.TypeScope{Type: "bare"}))
		for i := 0; !names().More; i++ {
			r := e.resource(fmt.Sprint("many", i))
			r.Owner, r.Type = e.apiUUID, fmt.Sprint("type", i)
			for k := range 500 {
				r.Scopes = append(r.Scopes, uma.Scope(fmt.Sprint("scope", k)))
			}
			e.create(r)
			if len(names().Own) > uma.MaxOwnNames || i > 10 {
				e.t.Fatalf("got %d names, want at most %d", len(names().Own), uma.MaxOwnNames)
			}
		}
	},
}

// lines returns all lines of a report.
func lines(r *uma.RealmReport) []string {
	return slices.Concat(r.Created, r.Updated, r.Adopted, r.Removed, r.Disabled, r.Kept, r.Drifted)
}
