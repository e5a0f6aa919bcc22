package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/uma"
)

// Events are read as they were written, whatever they have in common.
func TestSharedParts(t *testing.T) {
	t.Parallel()
	long, other := strings.Repeat("long ", 20), strings.Repeat("other", 20)
	for name, tc := range map[string]struct {
		events []string
		saved  bool // something is stored once
	}{
		"none":              {nil, false},
		"one":               {[]string{`{"input":{"claims":"` + long + `"}}`}, false},
		"equal input":       {[]string{`{"id":1,"input":{"claims":"` + long + `","n":1},"z":2}`, `{"id":2,"input":{"claims":"` + long + `","n":2},"z":3}`}, true},
		"equal labels":      {[]string{`{"labels":{"a":"` + long + `"}}`, `{"labels":{"a":"` + long + `"}}`}, true},
		"one of three":      {[]string{`{"a":"` + long + `","b":"` + other + `"}`, `{"a":"` + long + `"}`, `{}`}, true},
		"nothing equal":     {[]string{`{"a":"` + long + `"}`, `{"a":"` + other + `"}`}, false},
		"short ones":        {[]string{`{"a":"x"}`, `{"a":"x"}`}, false},
		"deep":              {[]string{`{"input":{"a":{"b":["` + long + `",{}]}}}`, `{"input":{"a":{"b":["` + long + `",{}]}}}`}, true},
		"quotes, brackets":  {[]string{`{"a":"` + long + `\"}]\\","b":[]}`, `{"a":"` + long + `\"}]\\","b":[]}`}, true},
		"input is a list":   {[]string{`{"input":["` + long + `"]}`, `{"input":["` + long + `"]}`}, true},
		"no JSON":           {[]string{long, long}, false},
		"half of an object": {[]string{`{"a":"` + long, `{"a":"` + long}, false},
		"no value":          {[]string{`{"a":`, `{"a":`, `{`, `{"`, `{"a"`}, false},
		"with a mark":       {[]string{"{\"a\":\"" + long + "\x01\"}", "{\"a\":\"" + long + "\x01\"}", `{"a":"` + long + `"}`}, false},
		"empty":             {[]string{``, ``}, false},
	} {
		records := make([]uma.Record, len(tc.events))
		for i, event := range tc.events {
			records[i].Event = []byte(event)
		}
		expectShared(t, name, records, tc.saved)
	}
	many := make([]uma.Record, 3)
	for i := range many {
		members := make([]string, 2*maxParts)
		for n := range members {
			members[n] = fmt.Sprintf(`"m%d":"%s%d"`, n, long, n)
		}
		many[i].Event = []byte("{" + strings.Join(members, ",") + "}")
	}
	expectShared(t, "more parts than a byte can number", many, true)
}

func expectShared(t testing.TB, name string, records []uma.Record, saved bool) {
	t.Helper()
	stored := shareParts(records)
	before, after := 0, len(stored.parts)
	for i, r := range records {
		own, encoding := r.Event, int64(plainEvent)
		if stored.own != nil && stored.own[i] != nil {
			own, encoding = stored.own[i], sharedEvent
		}
		before, after = before+len(r.Event), after+len(own)
		got, err := decodeEvent("d", encoding, own, stored.parts)
		if err != nil || string(got) != string(r.Event) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, r.Event)
		}
	}
	if after > before || saved != (after < before) {
		t.Errorf("%s: %d bytes are stored as %d; saved is to be %v", name, before, after, saved)
	}
}

// FuzzSharedParts: events are always read as they were written.
func FuzzSharedParts(f *testing.F) {
	long := strings.Repeat("long ", 20)
	f.Add([]byte(`{"a":"`+long+`","input":{"b":"`+long+`"}}`), []byte(`{"input":{"b":"`+long+`"}}`))
	f.Add([]byte(`{"a":`+long), []byte("\x01"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		stored := shareParts([]uma.Record{{Event: a}, {Event: b}, {Event: a}})
		for i, want := range [][]byte{a, b, a} {
			if stored.own[i] == nil {
				continue
			}
			if got, err := joinEvent(stored.own[i], stored.parts); err != nil || string(got) != string(want) {
				t.Fatalf("got %q, %v, want %q", got, err, want)
			}
		}
	})
}

// If parts are missing, or the encoding is of a later version, the result is an error
// and no part of the event.
func TestDamagedEvents(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		encoding   int64
		own, parts string
	}{
		"no parts":            {sharedEvent, "{\x01\x01}", ""},
		"no such part":        {sharedEvent, "{\x01\x02}", "a\x01b"},
		"half a mark":         {sharedEvent, "{\x01", "a"},
		"an unknown encoding": {2, "{}", ""},
	} {
		if got, err := decodeEvent("d", tc.encoding, []byte(tc.own), []byte(tc.parts)); err == nil || got != nil || !strings.Contains(err.Error(), "record d") {
			t.Errorf("%s: got %q, %v, want an error that names the record", name, got, err)
		}
	}
}

// Parts that the events of a request have in common are stored once.
func TestSharedPartsAreStoredOnce(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	claims := strings.Repeat("c", 16<<10)
	records := make([]uma.Record, 190)
	for i := range records {
		event, err := json.Marshal(map[string]any{"decision_id": i, "input": map[string]any{"claims": claims, "resource": i}})
		if err != nil {
			t.Fatal(err)
		}
		records[i] = uma.Record{ID: fmt.Sprint("d", i), Event: event}
	}
	if err := s.Commit(t.Context(), &uma.Settlement{Now: at, Records: records}); err != nil {
		t.Fatal(err)
	}
	var bytes int64
	err := s.read(t.Context(), func(c *conn) error {
		return c.row(`SELECT (SELECT sum(length(event)) FROM decision_log) + (SELECT sum(length(parts)) FROM decision_shared)`, nil, &bytes)
	})
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(len(claims) + 190*100); bytes > most {
		t.Errorf("got %d bytes of events, want at most %d", bytes, most)
	}
	other, err := Open(t.Context(), Config{Path: pathOf(t, s), ReadOnly: true}) // whose memory has none of them
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, other.Close)
	after, err := other.DecisionsAfter(t.Context(), 0, 1000)
	if err != nil || len(after) != len(records) {
		t.Fatalf("got %d records, %v", len(after), err)
	}
	for i, r := range after {
		if string(r.Event) != string(records[i].Event) {
			t.Fatalf("got event %.80s…, want %.80s…", r.Event, records[i].Event)
		}
	}
}
