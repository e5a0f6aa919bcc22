package memory

import (
	"testing"
	"time"

	"example.com/umpire/uma"
)

// The lists of a kept row have no more room than they need, and a map counts what an empty one has.
func TestKeptRowsAreCounted(t *testing.T) {
	t.Parallel()
	s := &Sharing{Granted: make([]uma.Share, 1, 4), Others: make([]uma.Request, 3, 4)}
	s.Trim()
	if len(s.Granted) != 1 || cap(s.Granted) != 1 || len(s.Others) != 3 || cap(s.Others) != 3 || s.Policies != nil {
		t.Errorf("got %d granted of %d, %d others of %d", len(s.Granted), cap(s.Granted), len(s.Others), cap(s.Others))
	}
	if got := documentBytes(map[string]any{}); got < 300 {
		t.Errorf("an empty map counts %d bytes", got)
	}
}

// One text stands for all parties that have the same shares, and for no others.
func TestPartyText(t *testing.T) {
	t.Parallel()
	p := &uma.Party{ID: "bob", Client: "web", Roles: []string{"b", "a"}, Groups: []string{"/g"}}
	text := PartyText(p)
	if got := PartyText(&uma.Party{ID: "bob", Client: "web", Roles: []string{"a", "b"}, Groups: []string{"/g"}}); got != text {
		t.Errorf("got %q and %q for the same party", got, text)
	}
	if got := PartyText(PartyOfText(text)); got != text {
		t.Errorf("got %q, want %q", got, text)
	}
	for _, other := range []*uma.Party{{}, {ID: "bob", Client: "web", Roles: []string{"a"}, Groups: []string{"b", "/g"}},
		{ID: "bob", Client: "web", Roles: []string{"a3r:b"}, Groups: []string{"/g"}}, {ID: "bo", Client: "web", Roles: []string{"a", "b"}, Groups: []string{"/g"}}} {
		if PartyText(other) == text {
			t.Errorf("%+v has the text of %+v", other, p)
		}
	}
}

// What is between a party and several resources is in the order of uma.Shares.Between.
func TestBetween(t *testing.T) {
	t.Parallel()
	first, second := &Sharing{Policies: []uma.Share{{Key: 5}}}, &Sharing{Policies: []uma.Share{{Key: 4}}}
	for _, q := range []uma.Request{{Key: 1, State: uma.Granted, Scope: "view"}, {Key: 2, State: uma.Pending},
		{Key: 3, State: uma.Refused, Decided: start}, {Key: 4, State: uma.Refused, Decided: start.Add(time.Second)}} {
		first.AddRequest(&q)
	}
	second.AddRequest(&uma.Request{Key: 6, State: uma.Granted})
	shares, requests := Between([]*Sharing{first, second}, start)
	var keys []uma.Key
	for i := range shares {
		keys = append(keys, shares[i].Key)
	}
	for i := range requests {
		keys = append(keys, requests[i].Key)
	}
	want := []uma.Key{1, 6, 4, 5, 2, 4}
	if len(keys) != len(want) {
		t.Fatalf("got %v, want %v", keys, want)
	}
	for i := range want {
		if keys[i] != want[i] {
			t.Errorf("got %v, want %v", keys, want)
			break
		}
	}
}
