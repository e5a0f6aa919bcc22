package sqlite

import (
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
	"weak"

	"example.com/umpire/store/memory"
	"example.com/umpire/uma"
)

// What requests ask for may be a part of their bodies. Neither a row nor its key keeps a body in
// memory.
func TestCachesKeepNoBodies(t *testing.T) {
	t.Parallel()
	c := openCached(t)
	const issuer = "https://login.example.com"
	_, err := c.ApplyRealm(t.Context(), &uma.RealmChange{Now: at, Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users: []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Realm: uma.Realm{Name: "photoz", Enabled: true, Issuers: []uma.TrustedIssuer{{Issuer: issuer, Alias: "example"}}}})
	c.must(err)
	_, err = c.AdmitParty(t.Context(), 1, &uma.Admission{ID: "eve-id", Identity: uma.Identity{Issuer: issuer, Subject: "eve"}, Name: "eve", Now: at})
	c.must(err)
	var bodies []weak.Pointer[byte]
	cut := func(text string) string {
		body := text + strings.Repeat(" ", 1<<20)
		bodies = append(bodies, weak.Make(unsafe.StringData(body)))
		return body[:len(text)]
	}
	ctx := t.Context()
	for name, read := range map[string]func(v uma.View) error{
		"session": func(v uma.View) error {
			_, err := v.TokenState(ctx, 1, cut("jti-2"), cut("s"))
			return err
		},
		"revocation": func(v uma.View) error {
			_, err := v.TokenState(ctx, 1, cut("jti-3"), "")
			return err
		},
		"party": func(v uma.View) error {
			_, err := v.PartyOf(ctx, 1, cut(issuer), cut("eve"))
			return err
		},
		"resource": func(v uma.View) error {
			_, err := v.Resource(ctx, c.r.Server, uma.ResourceID(cut("r")))
			return err
		},
		"resources": func(v uma.View) error {
			_, err := v.ResourcesByID(ctx, c.r.Server, []uma.ResourceID{uma.ResourceID(cut("r"))})
			return err
		},
		"resource by name": func(v uma.View) error {
			_, err := v.ResourceByName(ctx, c.r.Server, cut("alice-id"), cut("Album"))
			return err
		},
		"shares": func(v uma.View) error {
			_, _, err := v.Between(ctx, &uma.Party{ID: cut("bob-id"), Client: cut("web"), Roles: []string{cut("role")}}, []uma.Key{c.r.Key}, at)
			return err
		},
	} {
		c.memory.Resources.Clear()
		before := c.hits()
		for range 2 { // the first keeps the row
			_, err := uma.Read(ctx, c.Store, func(v uma.View) (struct{}, error) { return struct{}{}, read(v) })
			c.must(err)
		}
		if c.hits() == before {
			t.Errorf("%s: nothing was read from memory", name)
		}
		runtime.GC()
		for i := range bodies {
			if bodies[i].Value() != nil {
				t.Errorf("%s: body %d of %d is in memory", name, i, len(bodies))
			}
		}
		bodies = nil
	}
	c.must(c.CheckCaches(ctx))
}

// A session is read together with its user. So without the cache of users a session is neither
// looked for nor kept in memory, but whether a token without a session is revoked is.
func TestSessionsWithoutUsers(t *testing.T) {
	t.Parallel()
	s := openTemp(t, func(c *Config) { c.Caches = memory.Caches{Memory: 1 << 20, Sessions: true} })
	realm := smallRealm(t, s).Realm.Key
	err := s.StartSession(t.Context(), realm, &uma.Session{ID: "s", User: "alice-id", Client: "api", Started: at, Expires: at.Add(time.Hour)},
		&uma.RefreshToken{Hash: uma.Digest("refresh"), SessionID: "s", Expires: at.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range []string{"s", ""} {
		for range 2 {
			_, err := uma.Read(t.Context(), s, func(v uma.View) (*uma.TokenState, error) { return v.TokenState(t.Context(), realm, "jti", session) })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := s.CacheStats()["sessions"]; got.Hits != 1 || got.Misses != 1 || got.Entries != 1 {
		t.Errorf("got %+v, want the token without a session alone", got)
	}
}
