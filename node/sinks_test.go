package node

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

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
