package sqlite

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// benchStore has 1,000 resources, each shared with bob, and 1,000 users.
func benchStore(b *testing.B) (s *Store, realm, server uma.Key, keys []uma.Key) {
	b.Helper()
	s = openTemp(b, nil)
	c := &uma.RealmChange{
		Realm:   uma.Realm{Name: "photoz", Enabled: true},
		Clients: []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Now:     at,
	}
	for i := range 1000 {
		c.Users = append(c.Users, &uma.User{
			ID: fmt.Sprintf("user-%04d", i), Username: fmt.Sprintf("name-%04d", i), Enabled: true,
			Roles: []string{"user", "uma_authorization"}, ClientRoles: map[string][]string{"api": {"uma_protection"}},
			Groups: []string{"/friends"}, Claims: map[string]any{"email": "user@example.com"},
		})
		c.Resources = append(c.Resources, uma.ResourceChange{
			Resource: uma.Resource{ID: uma.ResourceID(fmt.Sprintf("resource-%04d", i)), Name: fmt.Sprintf("Album %04d", i),
				Type: "http://photoz.example.com/album", URIs: []string{fmt.Sprintf("/album/%d", i)},
				Scopes: []uma.Scope{"view", "comment", "delete"}, OwnerManaged: true,
				Attributes: map[string][]string{"visibility": {"private"}}},
			ServerID: "api", OwnerName: fmt.Sprintf("name-%04d", i), ScopeIDs: []string{"1", "2", "3"},
		})
	}
	if _, err := s.ApplyRealm(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	snapshot, err := s.Snapshot(b.Context(), "photoz", at)
	if err != nil {
		b.Fatal(err)
	}
	realm, server = snapshot.Realm.Key, snapshot.Clients["api"].Key
	keys = make([]uma.Key, 1000)
	err = s.write(b.Context(), func(tx *conn) error {
		for i := range keys {
			r, err := resourceByID(tx, server, uma.ResourceID(fmt.Sprintf("resource-%04d", i)))
			if err != nil {
				return err
			}
			keys[i] = r.Key
			q := &uma.Request{ID: fmt.Sprintf("request-%04d", i), Server: server, Resource: r.Key, Requester: "user-0001",
				Scope: "view", State: uma.Granted, Created: at}
			if err := createRequest(tx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.CreateShare(b.Context(), &uma.Share{ID: "policy", Name: "policy", Server: server, Resource: keys[999], Owner: "user-0999",
		Scopes: []uma.Scope{"view"}, Users: []string{"user-0001"}, Strategy: rows.Unanimous}); err != nil {
		b.Fatal(err)
	}
	if err := s.StartSession(b.Context(), realm, &uma.Session{ID: "session", User: "user-0001", Expires: at.Add(time.Hour)},
		&uma.RefreshToken{Hash: uma.Digest("handle"), SessionID: "session", Expires: at.Add(time.Hour)}); err != nil {
		b.Fatal(err)
	}
	return s, realm, server, keys
}

// benchRecord has the size of the record of a decision.
func benchRecord(id string) uma.Record {
	return uma.Record{ID: id, Batch: id, Realm: "photoz", Time: at, Kind: "rpt", Outcome: "granted", Subject: "user-0001",
		Client: "web", Server: "api", Resource: "resource-0001", Revision: strings.Repeat("a", 64),
		Rules: []string{"photoz/friends-may-view"}, Event: []byte(strings.Repeat("x", 1450))}
}

// A commit is the settlement of a decision: a record and what it rests on.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			s, realm, _, _ := benchStore(b)
			snapshot, err := s.Snapshot(b.Context(), "photoz", at)
			if err != nil {
				b.Fatal(err)
			}
			rests := &uma.Rests{Generation: snapshot.Realm.Generation}
			work := make(chan int)
			b.ResetTimer()
			done := make(chan error, callers)
			for range callers {
				go func() {
					for i := range work {
						err := s.Commit(context.Background(), &uma.Settlement{Realm: realm, Now: at, RestsOn: rests,
							Records: []uma.Record{benchRecord(fmt.Sprintf("decision-%09d", i))}})
						if err != nil {
							done <- err
							return
						}
					}
					done <- nil
				}()
			}
			for i := range b.N {
				work <- i
			}
			close(work)
			for range callers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		})
	}
}

// A view is read as a decision reads it: the session with its user, the resource,
// and what there is between it and the party.
func BenchmarkView(b *testing.B) {
	s, realm, server, keys := benchStore(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		ctx := b.Context()
		party := &uma.Party{ID: "user-0001"}
		for i := 0; pb.Next(); i++ {
			v, err := s.View(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			n := i % len(keys)
			_, err1 := v.TokenState(ctx, realm, "jti", "session")
			_, err2 := v.Resource(ctx, server, uma.ResourceID(fmt.Sprintf("resource-%04d", n)))
			_, _, err3 := v.Between(ctx, party, keys[n:n+1], at)
			for _, err := range []error{err1, err2, err3, v.Close()} {
				if err != nil {
					b.Error(err)
				}
			}
		}
	})
}

// Each of the reads of a decision by itself, in a view that is open.
func BenchmarkRead(b *testing.B) {
	s, realm, server, keys := benchStore(b)
	ctx := context.Background()
	party := &uma.Party{ID: "user-0001"}
	v, err := s.View(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer mustClose(b, v.Close)
	v.(*view).conn.left = math.MaxInt // no request reads so often in one view
	for name, read := range map[string]func() error{
		"session":  func() error { _, err := v.TokenState(ctx, realm, "jti", "session"); return err },
		"user":     func() error { _, err := v.User(ctx, realm, "user-0001"); return err },
		"resource": func() error { _, err := v.Resource(ctx, server, "resource-0500"); return err },
		"shares":   func() error { _, _, err := v.Between(ctx, party, keys[500:501], at); return err },
		"policies": func() error { _, _, err := v.Between(ctx, party, keys[999:], at); return err },
		"owned":    func() error { _, err := v.OwnedResources(ctx, realm, "user-0001", "", 0, 20); return err },
		"shared": func() error {
			_, err := v.SharedResources(ctx, realm, uma.GrantedFilter{Requester: "user-0001"}, 0, 20)
			return err
		},
		"scopes": func() error { _, err := v.KnownScopes(ctx, server, []uma.Scope{"view"}); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v, err := s.View(ctx)
			if err != nil {
				b.Fatal(err)
			}
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
