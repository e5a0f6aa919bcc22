package party

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

// newForeignWorld is a realm that trusts an issuer, and its token "foreign.of.dana".
func newForeignWorld(t *testing.T) (*world, *uma.TrustedToken) {
	t.Helper()
	w := newWorld(t)
	realm := w.Snap.Realm
	realm.Issuers = []uma.TrustedIssuer{{
		Issuer: "https://i.example", Alias: "i", Audiences: []string{"umpire"}, Clients: map[string]string{"guid": "photoz-app"},
		Accept: []uma.TokenUse{uma.UseBearer, uma.UseSubjectToken},
	}}
	w.Snap = uma.NewSnapshot(realm, []*uma.Client{w.API, w.Other, w.Web, w.App}, nil)
	token := &uma.TrustedToken{
		Issuer: &w.Snap.Realm.Issuers[0], Kind: uma.AccessToken, Subject: "dana", ClientID: "guid", Audience: []string{"umpire"},
		Username: "dana", Email: "dana@i.example", Groups: []string{"/staff"}, GroupsKnown: true, Roles: []string{"user"},
		ACR: "gold", Expires: w.Unix() + 60, Attributes: map[string]any{"department": "x"},
	}
	w.Trust.Tokens = map[string]*uma.TrustedToken{"foreign.of.dana": token}
	return w, token
}

// present is what the bearer is at the account API.
func (w *world) present(t *testing.T) (*Identity, error) {
	t.Helper()
	return w.service.Presented(t.Context(), w.Snap, &Caller{HasBearer: true, Bearer: "foreign.of.dana"}, uma.InvalidToken, Acceptance{Use: uma.UseBearer})
}

// TestForeign: which tokens of a trusted issuer identify a party, and why others do not.
func TestForeign(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*world, *uma.TrustedToken)
		want bool
	}{
		{"good", func(*world, *uma.TrustedToken) {}, true},
		{"of a party that is known", func(w *world, _ *uma.TrustedToken) { w.dana() }, true},
		{"its party is disabled", func(w *world, _ *uma.TrustedToken) { w.dana().Enabled = false }, false},
		{"its identity is linked to another party", func(w *world, _ *uma.TrustedToken) {
			w.dana().Identity.Subject = "other"
			w.View.Linked = map[umatest.Linked]string{{Issuer: "https://i.example", Subject: "dana"}: "u-dana"}
		}, true},
		{"its identity is linked to a local user", func(w *world, _ *uma.TrustedToken) {
			w.View.Linked = map[umatest.Linked]string{{Issuer: "https://i.example", Subject: "dana"}: "u-bob"}
		}, false},
		{"its client is disabled", func(w *world, _ *uma.TrustedToken) { w.App.Enabled = false }, false},
		{"its client is gone", func(_ *world, f *uma.TrustedToken) { f.Issuer.Clients["guid"] = "ghost" }, false},
		{"its client is not mapped", func(_ *world, f *uma.TrustedToken) { f.ClientID = "other" }, false},
		{"for somebody else", func(_ *world, f *uma.TrustedToken) { f.Audience = []string{"other"} }, false},
		{"an ID token", func(_ *world, f *uma.TrustedToken) { f.Kind = uma.IDToken }, false},
		{"bound to a key", func(_ *world, f *uma.TrustedToken) { f.KeyBound = true }, false},
		{"expires now", func(w *world, f *uma.TrustedToken) { f.Expires = w.Unix() }, false},
		{"not verified", func(w *world, _ *uma.TrustedToken) { w.Trust.Tokens = nil }, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, token := newForeignWorld(t)
			tc.edit(w, token)
			users := len(w.View.Users)
			id, err := w.present(t)
			if !tc.want {
				if umatest.Reason(err) != uma.InvalidToken || !errors.Is(err, ErrInactive) || id != nil {
					t.Errorf("got %v, %v", id, err)
				}
				if len(w.View.Users) != users {
					t.Error("a party was made for a token that is refused")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			roles, ofClients, groups := id.Roles()
			if id.User.Identity == nil || id.Client != w.App || !slices.Equal(roles, []string{"user"}) || ofClients != nil || !slices.Equal(groups, []string{"/staff"}) ||
				!id.GroupsKnown() || !id.IsUser() || id.Claims.ACR != "gold" || id.Attributes()["department"] != "x" || *id.SubjectID() != *uma.SubjectIDOf("https://i.example", "dana") {
				t.Errorf("got %+v", id)
			}
		})
	}
}

// dana is the row of the token's party.
func (w *world) dana() *uma.User {
	u := &uma.User{
		ID: "u-dana", Username: "i/dana", Enabled: true, Version: 9, Roles: []string{"of-the-row"},
		Identity: &uma.Identity{Issuer: "https://i.example", Alias: "i", Subject: "dana"},
	}
	w.View.Users[u.ID] = u
	return u
}

// TestAdmission: a party that is known costs one view and no write; one that is new, or proves a
// new address, is admitted between two views, once.
func TestAdmission(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		edit   func(*world, *uma.TrustedToken)
		writes int
		email  any
	}{
		{"known", func(w *world, _ *uma.TrustedToken) { w.dana() }, 0, nil},
		{"known, and an address that is not proved", func(w *world, f *uma.TrustedToken) { w.dana() }, 0, nil},
		{"known, with the address", func(w *world, f *uma.TrustedToken) {
			w.dana().Claims = map[string]any{"email": "dana@i.example"}
			f.EmailVerified = true
		}, 0, "dana@i.example"},
		{"known, and proves an address", func(w *world, f *uma.TrustedToken) { w.dana(); f.EmailVerified = true }, 1, "dana@i.example"},
		{"new", func(*world, *uma.TrustedToken) {}, 1, nil},
		{"new, and proves an address", func(_ *world, f *uma.TrustedToken) { f.EmailVerified = true }, 1, "dana@i.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, token := newForeignWorld(t)
			tc.edit(w, token)
			id, err := w.present(t)
			if err != nil || id.User.Claims["email"] != tc.email {
				t.Fatalf("got %+v, %v", id, err)
			}
			if got := w.Count("view"); got != 1+tc.writes {
				t.Errorf("got %d views, want %d", got, 1+tc.writes)
			}
			if w.View.Open != 0 {
				t.Errorf("%d views are open", w.View.Open)
			}
			again, err := w.present(t)
			if err != nil || again.Subject != id.Subject || w.Count("view") != 2+tc.writes {
				t.Errorf("again: got %+v, %v, %d views", again, err, w.Count("view"))
			}
		})
	}
}

// TestTokensOfParties: when a token that this server signed for a party is active.
func TestTokensOfParties(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		edit func(*world, *uma.Claims)
		want bool
	}{
		{"good", func(*world, *uma.Claims) {}, true},
		{"its party is disabled", func(w *world, _ *uma.Claims) { w.View.Users["u-dana"].Enabled = false }, false},
		{"its party was disabled meanwhile", func(w *world, _ *uma.Claims) { w.View.Users["u-dana"].Version++ }, false},
		{"its party is gone", func(w *world, _ *uma.Claims) { delete(w.View.Users, "u-dana") }, false},
		{"its identity is a local user's", func(w *world, _ *uma.Claims) { w.View.Users["u-dana"].Identity = nil }, false},
		{"its identity is another party's", func(w *world, c *uma.Claims) { c.Subject = "u-bob" }, false},
		{"its issuer is not trusted", func(w *world, _ *uma.Claims) { w.Snap.Realm.Issuers = nil }, false},
		{"its client is disabled", func(w *world, _ *uma.Claims) { w.App.Enabled = false }, false},
		{"revoked", func(w *world, c *uma.Claims) { w.View.Revoked = c.ID }, false},
		{"an RPT", func(w *world, c *uma.Claims) { c.Authorization = &uma.Authorization{} }, false},
		{"the access token in an RPT", func(_ *world, c *uma.Claims) { c.Audience = uma.Audience{"photoz-api"} }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, _ := newForeignWorld(t)
			w.dana()
			id, err := w.present(t)
			if err != nil {
				t.Fatal(err)
			}
			claims := w.service.AccessClaims(w.Snap, id, "profile", w.Snap.Realm.Lifetimes.Access)
			claims.Attributes = id.Trusted.Attributes
			if claims.Expires != w.Unix()+60 || claims.SessionID != "" || claims.SubjectVersion != 9 {
				t.Fatalf("got %+v", claims)
			}
			w.Tokens["realm.of.dana"] = claims
			tc.edit(w, claims)
			got, err := w.service.Presented(t.Context(), w.Snap, &Caller{HasBearer: true, Bearer: "realm.of.dana"}, uma.InvalidToken, Acceptance{})
			if (err == nil) != tc.want || err != nil && !errors.Is(err, ErrInactive) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if err != nil {
				return
			}
			roles, _, groups := got.Roles()
			if !slices.Equal(roles, []string{"user"}) || !slices.Equal(groups, []string{"/staff"}) || !got.GroupsKnown() || got.Attributes()["department"] != "x" || got.Trusted.ACR != "gold" {
				t.Errorf("got %+v, want what the issuer said", got.Trusted)
			}
		})
	}
}

// An inviter is a store in which every address is invited.
type inviter struct {
	umatest.FakeStore
	addresses []string // of the admissions
}

func (s *inviter) AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error) {
	s.addresses = append(s.addresses, a.Email)
	u, err := s.FakeStore.AdmitParty(ctx, realm, a)
	if a.Email != "" {
		a.Taken = []uma.Invitation{{ID: "v-1", ResourceID: "r-album", Owner: "u-alice", Email: a.Email}}
	}
	return u, err
}

// A failing store is an inviter whose admissions fail after they have taken an invitation.
type failing struct{ inviter }

func (s *failing) AdmitParty(ctx context.Context, realm uma.Key, a *uma.Admission) (*uma.User, error) {
	_, err := s.inviter.AdmitParty(ctx, realm, a)
	return nil, errors.Join(err, errors.New("the disk is full"))
}

// TestFailedAdmissionIsLogged: an admission may fail after it has taken some of many invitations.
// Nothing else tells of these.
func TestFailedAdmissionIsLogged(t *testing.T) {
	t.Parallel()
	w, token := newForeignWorld(t)
	token.EmailVerified = true
	var log []string
	w.service.Store = &failing{inviter{FakeStore: umatest.FakeStore{W: w.World}}}
	w.service.Log = func(_ context.Context, msg string, args ...any) { log = append(log, fmt.Sprint(msg, args)) }
	if id, err := w.present(t); err == nil {
		t.Fatalf("got %+v, want the error of the store", id)
	}
	if len(log) != 1 || !strings.Contains(log[0], "v-1") {
		t.Errorf("got log %q, want the invitation that was taken", log)
	}
}

// TestUnverifiedTokensCostNoView: there are few views, and anybody can present such tokens.
func TestUnverifiedTokensCostNoView(t *testing.T) {
	t.Parallel()
	w, _ := newForeignWorld(t)
	w.App.TokenExchange = true
	for _, raw := range []string{"opaque", "not.of.us"} {
		_, err := w.service.Presented(t.Context(), w.Snap, &Caller{HasBearer: true, Bearer: raw}, uma.InvalidToken, Acceptance{Use: uma.UseBearer})
		if umatest.Reason(err) != uma.InvalidToken {
			t.Errorf("%s: as a bearer: got %v", raw, err)
		}
		_, err = w.service.Exchange(t.Context(), w.Snap, w.App, &Exchange{SubjectToken: raw})
		if umatest.Reason(err) != uma.InvalidRequest {
			t.Errorf("%s: as a subject_token: got %v", raw, err)
		}
	}
	if got := w.Count("view"); got != 0 {
		t.Errorf("got %d views, want none", got)
	}
}

// TestAdmissionTakesInvitations: by an address that the token of a person proves. The log says so
// once, without the address.
func TestAdmissionTakesInvitations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verified, application bool
		address               string
	}{
		"proved":            {true, false, "dana@i.example"},
		"not proved":        {false, false, ""},
		"of an application": {true, true, ""},
	} {
		w, token := newForeignWorld(t)
		token.EmailVerified, token.Application = tc.verified, tc.application
		store, log := &inviter{FakeStore: umatest.FakeStore{W: w.World}}, []string{}
		w.service.Store = store
		w.service.Log = func(_ context.Context, msg string, args ...any) { log = append(log, fmt.Sprint(msg, args)) }
		for range 2 {
			if _, err := w.present(t); err != nil {
				t.Fatalf("%s: got %v", name, err)
			}
		}
		if len(store.addresses) != 1 || store.addresses[0] != tc.address {
			t.Errorf("%s: got admissions with %q, want one with %q", name, store.addresses, tc.address)
		}
		switch {
		case tc.address == "" && len(log) > 0:
			t.Errorf("%s: got log %q", name, log)
		case tc.address != "" && (len(log) != 1 || !strings.Contains(log[0], "v-1") || strings.Contains(log[0], "@")):
			t.Errorf("%s: got log %q, want the invitation that was taken, without its address", name, log)
		}
	}
}
