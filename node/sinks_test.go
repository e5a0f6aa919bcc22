package node

import (
	"context"
	"io"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/umpire/sinks"
	"example.com/umpire/uma"
)

// scrape returns what /metrics of a node shows.
func scrape(n *Node) string {
	w := httptest.NewRecorder()
	n.Admin().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// A server that does not do the upkeep shows how far the sinks have come: if nobody does it, each says so.
func TestSinkMetricsWithoutTheLease(t *testing.T) {
	t.Parallel()
	n := newSite(t).open(t, func(n *Node) { n.DecisionLog = io.Discard })
	if err := n.keepSinks(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"one", "two"} {
		record := uma.Record{ID: id, Time: n.Now(), Realm: "r", Event: []byte(`{}`)}
		if err := n.Store.Commit(t.Context(), &uma.Settlement{Realm: 1, Now: n.Now(), Records: []uma.Record{record}}); err != nil {
			t.Fatal(err)
		}
	}
	metrics := scrape(n)
	const labels = `{kind="stdout",realm="",sink="decision-log"} `
	for _, want := range []string{"umpire_sink_lag_records" + labels + "2\n", "umpire_sink_lag_seconds" + labels, "umpire_sink_cut_total" + labels + "0\n"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for _, never := range []string{"umpire_sink_delivered_total" + labels, "umpire_sink_failures_total" + labels} {
		if strings.Contains(metrics, never) {
			t.Errorf("metrics have %s of a server that delivers nothing", never)
		}
	}
}

// A server that has read its realms before another one added a realm with a sink does not remove that sink and
// its cursor: it reads them again.
func TestSinksOfARealmThatIsNew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	starting, running := s.open(t, func(n *Node) { n.DecisionLog = io.Discard }), s.open(t, func(n *Node) { n.DecisionLog = io.Discard })
	names := func() (names []string) {
		all, err := running.Store.AllSinks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			names = append(names, all[i].Name)
		}
		return names
	}
	added := false
	err := starting.withSinks(t.Context(), func(ctx context.Context, wanted sinks.List) error {
		if !added {
			added = true
			file := filepath.Join(filepath.Dir(s.file), "new.yaml")
			logs := "realm: new\npolicy: {bundle: policies, timeout: 1s, opa: {services: {a: {url: 'http://127.0.0.1:1'}}, decision_logs: {service: a}}}\n"
			s.write(t, file, strings.Replace(s.text(t), "realm: r\npolicy: {bundle: policies, timeout: 1s}\n", logs, 1))
			s.file = file
			s.apply(t, running)
			if err := running.keepSinks(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return starting.sinks.Keep(ctx, wanted)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"decision-log", "opa/new"}) {
		t.Errorf("got sinks %q, want that of the new realm, too", got)
	}
}
