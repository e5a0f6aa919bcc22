package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A recorder notes the texts of the statements that stores have sent.
type recorder struct {
	mu   sync.Mutex
	sent map[string]bool
}

func (r *recorder) note(query string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == nil {
		r.sent = map[string]bool{}
	}
	r.sent[query] = true
}

// all are the texts noted so far: the store goes on.
func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(r.sent))
}

// TraceQueryStart implements pgx.QueryTracer.
func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.note(data.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		r.note(q.SQL)
	}
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (r *recorder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// smallTables have as many rows as there are realms, clients, servers, keys of one realm, tokens of the admin
// API, or activations of policies.
var smallTables = []string{"realm", "client", "counter", "writer", "sealed", "signing_key", "issuer", "sink", "shadow", "policy_proposal",
	"dropped", "lease", "policy_period", "goose_db_version", "uri_shape", "admin_token"}

// checkPlans fails if a statement reads all of a table that grows, whatever the planner knows of it: with
// enable_seqscan off, it plans to read a table from end to end only if it has no index for a query.
func checkPlans(t *testing.T, r *recorder) {
	t.Helper()
	if checked := explainAll(t, r); checked < 200 {
		t.Errorf("only %d statements were checked", checked)
	}
}

// explainAll is checkPlans without knowing how many statements there are, which it returns.
func explainAll(t *testing.T, r *recorder) (checked int) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, func() error { return c.Close(ctx) })
	planAlike(t, c)
	for _, query := range r.all() {
		if !isPlanned(query) {
			continue
		}
		plan, err := explain(ctx, c, query)
		if err != nil {
			t.Errorf("explain %s: %v", query, err)
			continue
		}
		checked++
		for _, bad := range plan.unbounded(false, nil) {
			t.Errorf("%s of\n%s", bad, query)
		}
	}
	return checked
}

// planAlike makes a connection plan as those of a store do, for whatever parameters.
func planAlike(t *testing.T, c *pgx.Conn) {
	t.Helper()
	if _, err := c.Exec(context.Background(), `SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan`); err != nil {
		t.Fatal(err)
	}
}

// isPlanned reports whether a statement has a plan.
func isPlanned(query string) bool {
	first, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(query)), " ")
	return slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, strings.TrimSpace(first))
}

// A plan is a node of a plan as EXPLAIN (FORMAT JSON) has it.
type plan struct {
	Type      string  `json:"Node Type"`
	Relation  string  `json:"Relation Name"`
	Index     string  `json:"Index Name"`
	Condition string  `json:"Index Cond"`
	Recheck   string  `json:"Recheck Cond"`
	Plans     []*plan `json:"Plans"`
}

// explain returns the plan of a query for whatever parameters.
func explain(ctx context.Context, c *pgx.Conn, query string) (*plan, error) {
	if _, err := c.Exec(ctx, `PREPARE explained AS `+query, pgx.QueryExecModeSimpleProtocol); err != nil {
		return nil, err
	}
	var parameters int
	if err := c.QueryRow(ctx, `SELECT coalesce(cardinality(parameter_types), 0) FROM pg_prepared_statements WHERE name = 'explained'`).Scan(&parameters); err != nil {
		return nil, err
	}
	execute := `EXPLAIN (FORMAT JSON) EXECUTE explained`
	if parameters > 0 {
		execute += `(` + strings.TrimSuffix(strings.Repeat(`NULL, `, parameters), `, `) + `)`
	}
	var text []byte
	if err := c.QueryRow(ctx, execute, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, `DEALLOCATE explained`); err != nil {
		return nil, err
	}
	var all []struct{ Plan *plan }
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	return all[0].Plan, nil
}

// unbounded returns what reads a whole table, or a whole index without a limit.
func (p *plan) unbounded(limited bool, found []string) []string {
	limited = limited || p.Type == "Limit"
	whole := p.Type == "Seq Scan" || strings.HasPrefix(p.Type, "Index") && p.Condition == "" && !limited
	table := p.Relation
	if strings.HasPrefix(table, "decision_") {
		table = "decision"
	}
	if whole && !strings.HasPrefix(table, "pg_") && !slices.Contains(smallTables, table) {
		found = append(found, strings.TrimSpace(fmt.Sprintf("%s on %s %s", p.Type, p.Relation, p.Index)))
	}
	for _, sub := range p.Plans {
		found = sub.unbounded(limited, found)
	}
	return found
}

// TestPlansOfUnbounded: a query without an index is found.
func TestPlansOfUnbounded(t *testing.T) {
	t.Parallel()
	c, err := pgx.Connect(t.Context(), newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, func() error { return c.Close(context.Background()) })
	planAlike(t, c)
	for query, want := range map[string]int{
		`SELECT 1 FROM resource WHERE display_name = $1`:          1,
		`SELECT 1 FROM resource WHERE server = $1 AND id = $2`:    0,
		`SELECT id FROM users ORDER BY realm, id`:                 1,
		`SELECT id FROM users ORDER BY realm, id LIMIT $1`:        0,
		`SELECT count(*) FROM realm WHERE settings = $1`:          0,
		`DELETE FROM session WHERE scope = $1`:                    1,
		`UPDATE request SET state = 'x' WHERE resource_name = ''`: 1,
	} {
		p, err := explain(t.Context(), c, query)
		if err != nil {
			t.Fatal(err)
		}
		if found := p.unbounded(false, nil); len(found) != want {
			t.Errorf("%s: got %q", query, found)
		}
	}
}
