package postgres

import (
	"context"
	"testing"

	"example.com/umpire/uma"
)

// A settlement that waits for a row keeps no other from its number: the decisions of all servers wait for the row
// that numbers them.
func TestWaitingSettlementHoldsNoNumbers(t *testing.T) {
	t.Parallel()
	two := newTwoServers(t)
	album := two.album()
	if err := two.servers[0].Commit(t.Context(), record("the first of its month")); err != nil {
		t.Fatal(err)
	}
	patient := open(t, Config{URL: two.servers[0].cfg.URL + "&lock_timeout=1min&statement_timeout=1min"})
	writer, err := two.servers[0].pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Rollback(context.Background()) }()
	if _, err := writer.Exec(t.Context(), `SELECT 1 FROM resource WHERE key = $1 FOR UPDATE`, album.Key); err != nil {
		t.Fatal(err)
	}
	asks := record("asks for the album")
	asks.Requests = []uma.Request{*two.request(album, "bob")}
	waits := make(chan error, 1)
	go func() { waits <- patient.Commit(t.Context(), asks) }()
	awaitWaiting(t, two.servers[1], waits)
	other := record("another decision")
	if err := two.servers[1].Commit(t.Context(), other); err != nil {
		t.Errorf("another decision: %v", err)
	}
	if err := writer.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Fatal(err)
	}
	if got, after := asks.Records[0].Seq, other.Records[0].Seq; got != after+1 {
		t.Errorf("got number %d, want that after %d", got, after)
	}
}
