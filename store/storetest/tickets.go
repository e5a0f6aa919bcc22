package storetest

import (
	"time"

	"example.com/umpire/uma"
)

// ticket returns one with no field at its zero value.
func (e *env) ticket(value string) *uma.Ticket {
	return &uma.Ticket{
		Hash: uma.Digest(value), Server: e.api, Client: "web", Subject: e.bob,
		Permissions: []uma.Permission{
			{Resource: "r", Scopes: []uma.Scope{"view", `"`}, Whole: true},
			{Resource: "q", Scopes: []uma.Scope{"a"}, Whole: true},
		},
		Claims: map[string][]string{"org": {"acme", "other"}}, Round: 2, Interval: 5250 * time.Millisecond,
		Gathered: []byte{0, 0xff},
		Issued:   now, Expires: now.Add(2 * time.Minute),
	}
}

// getTicket reads a ticket at a time, nil if it is not found.
func (e *env) getTicket(realm uma.Key, value string, at time.Time) *uma.Ticket {
	e.t.Helper()
	return find(e, func(v uma.View) (*uma.Ticket, error) { return v.Ticket(e.t.Context(), realm, uma.Digest(value), at) })
}

var ticketTests = map[string]func(e *env){
	"round_trip": func(e *env) {
		want := e.ticket("t")
		e.wantNoZeroFields(*want)
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, want))
		want.Issued, want.Expires = kept(want.Issued), kept(want.Expires)
		e.want("ticket", e.getTicket(e.realm, "t", now), want)
	},

	"empty_fields": func(e *env) {
		want := &uma.Ticket{Hash: uma.Digest("t"), Server: e.api, Permissions: []uma.Permission{{Scopes: []uma.Scope{"view"}}}, Expires: now.Add(time.Minute)}
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, want))
		want.Expires = kept(want.Expires)
		e.want("ticket", e.getTicket(e.realm, "t", now), want)
	},

	"expires": func(e *env) {
		t := e.ticket("t")
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, t))
		if e.getTicket(e.realm, "t", t.Expires.Add(-time.Millisecond)) == nil {
			e.t.Error("not found a millisecond before it expires")
		}
		if e.getTicket(e.realm, "t", t.Expires) != nil {
			e.t.Error("found when it has expired")
		}
	},

	"belongs_to_its_realm": func(e *env) {
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket("t")))
		if e.getTicket(e.otherRealm, "t", now) != nil {
			e.t.Error("found in another realm")
		}
		err := e.s.Commit(e.t.Context(), &uma.Settlement{Realm: e.otherRealm, Now: now, Ticket: uma.Digest("t")})
		e.wantErr("spent in another realm", err, uma.ErrSpent)
		if e.getTicket(e.realm, "t", now) == nil {
			e.t.Error("gone from its own")
		}
	},

	"differ_by_case": func(e *env) {
		e.must(e.s.SaveTicket(e.t.Context(), e.realm, e.ticket("ticket")))
		if e.getTicket(e.realm, "Ticket", now) != nil {
			e.t.Error("found in another case")
		}
	},
}
