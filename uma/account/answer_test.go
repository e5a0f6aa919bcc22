package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/umatest"
)

func TestAnswerRequest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		who, id string
		approve bool
		scopes  []uma.Scope
		reason  uma.Reason
		states  string
	}{
		"approve":                   {"alice", "a", true, nil, "", "a granted, b granted, c pending"},
		"by another of its ids":     {"alice", "b", true, nil, uma.Conflict, "a pending, b pending, c pending"},
		"by the first id alone":     {"alice", "-", true, nil, uma.NotFound, "a pending, b pending, c pending"},
		"deny":                      {"alice", "a", false, nil, "", "a denied, b denied, c pending"},
		"approve in part":           {"alice", "a", true, umatest.ScopesOf("view"), "", "a granted, b denied, c pending"},
		"approve nothing":           {"alice", "a", true, []uma.Scope{}, uma.InvalidScope, "a pending, b pending, c pending"},
		"approve what nobody asked": {"alice", "a", true, umatest.ScopesOf("view delete"), uma.InvalidScope, "a pending, b pending, c pending"},
		"one's own":                 {"bob", "a", true, nil, uma.NotFound, "a pending, b pending, c pending"},
		"none":                      {"alice", "x", true, nil, uma.NotFound, "a pending, b pending, c pending"},
	} {
		w := newWorld(t)
		w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
		id := strings.Replace(tc.id, "-", "a", 1)
		switch tc.id {
		case "a":
			id = groupID([]uma.Request{{ID: "b"}, {ID: "a"}})
		case "b":
			id = "b" + groupID([]uma.Request{{ID: "a"}, {ID: "b"}})[1:]
		}
		err := w.service.AnswerRequest(t.Context(), w.owner(tc.who), id, tc.approve, tc.scopes)
		if umatest.Reason(err) != tc.reason || (err == nil) != (tc.reason == "") || w.states() != tc.states {
			t.Errorf("%s: got %v and %s, want %s and %s", name, err, w.states(), tc.reason, tc.states)
		}
		if err != nil {
			continue
		}
		if err := w.service.AnswerRequest(t.Context(), w.owner(tc.who), id, !tc.approve, nil); umatest.Reason(err) != uma.Conflict || w.states() != tc.states {
			t.Errorf("%s: answered again: got %v and %s, want a conflict", name, err, w.states())
		}
	}
}

// An answer is refused if a scope was added since the owner read the request.
func TestAnswerWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.asks("a u-bob view")
	seen, err := w.service.PendingRequests(t.Context(), w.owner("alice"), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	w.asks("a u-bob view", "b u-bob delete")
	err = w.service.AnswerRequest(t.Context(), w.owner("alice"), seen[0].ID, true, nil)
	if umatest.Reason(err) != uma.Conflict || w.states() != "a pending, b pending" {
		t.Errorf("got %v and %s, want a conflict", err, w.states())
	}
}

// A racer is a store in which somebody else answers first.
type racer struct {
	umatest.FakeStore
	before func()
}

func (r *racer) DecideRequests(_ context.Context, _ uma.Key, _ string, granted map[string]bool, _ time.Time) error {
	r.before()
	return r.W.View.Decide(granted)
}

func TestAnswerAll(t *testing.T) {
	t.Parallel()
	many := func(w *world) {
		var all []string
		for i := range 2*uma.RequestPage + 1 {
			all = append(all, fmt.Sprintf("q-%04d u-%d view", i, i))
		}
		w.asks(all...)
	}
	w := newWorld(t)
	many(w)
	if n, err := w.service.AnswerAll(t.Context(), w.owner("alice"), true, nil); err != nil || n != 2*uma.RequestPage+1 || w.Count("write") != 3 {
		t.Errorf("got %d %v in %d writes, want all in 3", n, err, w.Count("write"))
	}
	if strings.Contains(w.states(), uma.Pending) || strings.Contains(w.states(), uma.Refused) {
		t.Errorf("got %s", w.states())
	}

	w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
	if n, err := w.service.AnswerAll(t.Context(), w.owner("alice"), false, umatest.ScopesOf("view")); err != nil || n != 2 || w.states() != "a denied, b pending, c denied" {
		t.Errorf("of a scope: got %d %v and %s", n, err, w.states())
	}

	w.asks("a u-bob view", "b u-bob comment", "c u-carol view")
	turn := 0
	w.service.Store = &racer{umatest.FakeStore{W: w.World}, func() {
		if turn++; turn == 1 {
			w.View.Requests[1].State = uma.Refused
		}
	}}
	if n, err := w.service.AnswerAll(t.Context(), w.owner("alice"), true, nil); err != nil || n != 2 || w.states() != "a granted, b denied, c granted" {
		t.Errorf("in a race: got %d %v and %s", n, err, w.states())
	}

	many(w)
	w.service.Store = &racer{umatest.FakeStore{W: w.World}, func() { w.View.Requests = w.View.Requests[1:] }}
	if _, err := w.service.AnswerAll(t.Context(), w.owner("alice"), true, nil); umatest.Reason(err) != uma.Busy {
		t.Errorf("in a race that never ends: got %v, want busy", err)
	}
	w.service.Store = &racer{umatest.FakeStore{W: w.World}, func() { panic(errors.New("nothing is to be answered")) }}
	if n, err := w.service.AnswerAll(t.Context(), w.owner("bob"), true, nil); err != nil || n != 0 {
		t.Errorf("of who owns nothing: got %d %v", n, err)
	}
}
