package sqlite

import (
	"context"
	"sync/atomic"

	"example.com/umpire/recent"
	"example.com/umpire/uma"
)

// rows are those of one kind that are kept in memory, by key. Requests share them: nobody may
// change one. nil keeps none.
type rows[K comparable, V any] struct {
	kind         kinds
	changed      *atomic.Uint64 // of the memory
	kept         *recent.Sized[K, keptRow[V]]
	hits, misses atomic.Int64
}

// A keptRow is a row, and the epoch in which it was read.
type keptRow[V any] struct {
	value V
	epoch uint64
}

func newRows[K comparable, V any](m *memory, kind kinds, memory *recent.Budget) *rows[K, V] {
	r := &rows[K, V]{kind: kind, kept: recent.NewSized[K, keptRow[V]](memory)}
	for i := range m.changed {
		if kind == 1<<i {
			r.changed = &m.changed[i]
		}
	}
	return r
}

func (r *rows[K, V]) addStats(all map[string]recent.Stats, name string) {
	if r == nil {
		return
	}
	stats := r.kept.Stats()
	stats.Hits, stats.Misses = r.hits.Load(), r.misses.Load() // an outdated row is no hit
	all[name] = stats
}

// recall returns a row from memory, if it is there and is that of the view's epoch.
func recall[K comparable, V any](ctx context.Context, v *view, r *rows[K, V], key K) (row V, ok bool) {
	if r == nil {
		return row, false
	}
	if v.mayRecall() && ctx.Err() == nil {
		if found, there := r.kept.Get(key); there {
			if changed := r.changed.Load(); changed <= found.epoch && changed <= v.epoch {
				v.recalled |= r.kind
				r.hits.Add(1)
				return found.value, true
			}
		}
	}
	r.misses.Add(1)
	return row, false
}

// keep keeps a row that the view has just read from the database. The key must have no text of a
// request: all of its body would stay in memory.
func keep[K comparable, V any](v *view, r *rows[K, V], key K, row V, bytes int) {
	if r != nil && v.epoch != 0 && r.changed.Load() <= v.epoch {
		r.kept.Put(key, keptRow[V]{row, v.epoch}, keptBytes+bytes)
	}
}

// What a kept row takes besides its texts: its place in a map, its key and structure, and for
// each value in it the header and what allocation rounds up.
const (
	keptBytes  = 200
	valueBytes = 32
)

// A sessionKey is that of a token: the state of its session, and whether it is revoked.
type sessionKey struct {
	realm        uma.Key
	jti, session string
}

// A sessionState is a TokenState without the user.
type sessionState struct {
	revoked bool
	session *uma.Session // nil for a token without one
}

func (k *sessionKey) bytes() int { return len(k.jti) + len(k.session) }

func (s *sessionState) bytes() int {
	if s.session == nil {
		return 0
	}
	return 200 + len(s.session.User) + len(s.session.Client) + len(s.session.Scope)
}

// A userKey is that of a user, by id, or of a party, by issuer and subject. A user that is found
// by id has the columns that decisions depend on.
type userKey struct {
	realm               uma.Key
	id, issuer, subject string
}

func (k *userKey) bytes() int { return len(k.id) + len(k.issuer) + len(k.subject) }

func userBytes(u *uma.User) int {
	n := 300 + len(u.ID) + len(u.Username) + len(u.Password) + listBytes(u.Roles) + listBytes(u.Groups) + documentBytes(u.Claims)
	for client, roles := range u.ClientRoles {
		n += 3*valueBytes + len(client) + listBytes(roles)
	}
	if y := u.Identity; y != nil {
		n += 3*valueBytes + len(y.Issuer) + len(y.Alias) + len(y.Subject)
	}
	return n
}

// A resourceKey is that of a resource, by id or by owner and name.
type resourceKey struct {
	server      uma.Key
	id          uma.ResourceID
	owner, name string
}

func (k *resourceKey) bytes() int { return len(k.id) + len(k.owner) + len(k.name) }

func resourceBytes(r *uma.Resource) int {
	n := 400 + size(r) + len(r.ID) + len(r.Owner) + valueBytes*(len(r.URIs)+len(r.Scopes)+2*len(r.Texts))
	for _, values := range r.Attributes {
		n += valueBytes * (3 + len(values))
	}
	return n
}

// A sharingKey is that of what there is between a party and a resource.
type sharingKey struct {
	resource uma.Key
	party    string // see partyText
}

func (k *sharingKey) bytes() int { return len(k.party) }

func (s *sharing) bytes() int {
	n := 100
	for _, list := range [][]uma.Share{s.granted, s.policies} {
		for i := range list {
			n += 400 + len(list[i].Description) + len(list[i].ResourceID) + len(list[i].Owner) + sizeOfShare(&list[i])
		}
	}
	for i := range s.others {
		q := &s.others[i]
		n += 300 + len(q.ID) + len(q.ResourceID) + len(q.Owner) + len(q.Requester) + len(q.Scope) + len(q.ScopeID) + len(q.ResourceName)
	}
	return n
}

// listBytes is about how many bytes a list takes.
func listBytes[T ~string](list []T) int {
	n := 0
	for _, s := range list {
		n += valueBytes + len(s)
	}
	return n
}

// documentBytes is about how many bytes a value takes that was read from JSON.
func documentBytes(v any) int {
	switch v := v.(type) {
	case string:
		return valueBytes + len(v)
	case []any:
		n := valueBytes
		for _, one := range v {
			n += documentBytes(one)
		}
		return n
	case map[string]any:
		n := 10 * valueBytes // an empty map of Go has 300 bytes
		for name, one := range v {
			n += 2*valueBytes + len(name) + documentBytes(one)
		}
		return n
	}
	return valueBytes
}
