package postgres

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"example.com/umpire/store/storetest"
	"example.com/umpire/uma"
)

// spanning is a store that makes spans after each commit.
type spanning struct{ *Store }

func (s *spanning) Commit(ctx context.Context, st *uma.Settlement) error {
	if err := s.Store.Commit(ctx, st); err != nil || len(st.Records) == 0 {
		return err
	}
	return s.makeSpans(ctx)
}

// Records are found whether they are in spans or not.
func TestStoreSpans(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			storetest.RunRecords(t, func(t *testing.T) uma.Store {
				return &spanning{openTemp(t, func(c *Config) { c.spanRecords = size })}
			})
		})
	}
}

// manyRecords stores n records: of two days, a second apart from each other in pairs that are in the
// other order; of two subjects, one of which is rare, and a rule that is rare.
func manyRecords(t *testing.T, s *Store, n int) {
	t.Helper()
	if err := s.months.ensureMonth(t.Context(), s, monthOf(at)); err != nil {
		t.Fatal(err)
	}
	err := s.writeAll(t.Context(), command{query: `INSERT INTO decision (seq, time, id, batch, realm, kind, outcome, answered, subject, client, server,
			resource, revision, request, rules, event)
		SELECT n, $2 + 100 * (n + 1 - 2 * (n % 2)), 'd' || n, '', 'photoz', 'rpt', CASE WHEN n % 2 = 0 THEN 'granted' ELSE 'denied' END, '',
			CASE WHEN n % 1000 = 7 THEN 'bob' ELSE 'alice' END, 'web', 'api', 'r' || n % 100, 'sha256:abc', 'q' || n,
			CASE WHEN n % 10000 = 9 THEN '{all,rare}' ELSE '{all}' END::text[], '{}'
		FROM generate_series(1, $1::bigint) n`, args: []any{n, millis(at)}},
		command{query: `UPDATE counter SET value = $1 WHERE name = 'decision'`, args: []any{n}})
	if err != nil {
		t.Fatal(err)
	}
}

// A search reads few records that it does not look for, however many there are, with and without
// statistics of the table, and whatever arguments its plan was made for.
func TestSearchesReadBounded(t *testing.T) {
	t.Parallel()
	const all = 60_000
	s := openTemp(t, nil)
	manyRecords(t, s, all)
	if err := s.PrepareMonths(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	moment := func(n int) time.Time { return at.Add(time.Duration(n) * 100 * time.Millisecond) }
	searches := map[string]struct {
		f    uma.DecisionFilter
		want []string
		most int // records that are read
	}{
		"the last":                {uma.DecisionFilter{}, []string{"d60000", "d59999"}, 5},
		"the page before":         {uma.DecisionFilter{Before: 30_000}, []string{"d29999", "d29998"}, 5},
		"of a rare subject":       {uma.DecisionFilter{Subject: "bob"}, []string{"d59007", "d58007"}, 5},
		"of a common subject":     {uma.DecisionFilter{Subject: "alice", Before: 30_000}, []string{"d29999", "d29998"}, 5},
		"of several keys":         {uma.DecisionFilter{Subject: "bob", Outcome: "denied", Realm: "photoz"}, []string{"d59007", "d58007"}, 5},
		"of a request":            {uma.DecisionFilter{Request: "q77", Client: "web", Outcome: "denied"}, []string{"d77"}, 5},
		"of a resource, before":   {uma.DecisionFilter{Resource: "r50", Before: 30_000}, []string{"d29950", "d29850"}, 5},
		"since":                   {uma.DecisionFilter{Since: moment(all - 2)}, []string{"d60000", "d59999"}, 2 * spanRecords},
		"since a time after all":  {uma.DecisionFilter{Since: moment(all + 10)}, nil, spanRecords},
		"until":                   {uma.DecisionFilter{Until: moment(20_000)}, []string{"d19999", "d19998"}, 3 * spanRecords},
		"until a time before all": {uma.DecisionFilter{Until: at}, nil, spanRecords},
		"within":                  {uma.DecisionFilter{Since: moment(20_000), Until: moment(20_002)}, []string{"d20001", "d20000"}, 3 * spanRecords},
		"of a rare rule":          {uma.DecisionFilter{Rule: "rare"}, []string{"d50009", "d40009"}, 4 * spanRecords},
		"of a common rule":        {uma.DecisionFilter{Rule: "all", Outcome: "denied", Before: 30_000}, []string{"d29999", "d29997"}, 20},
		"of an unknown rule":      {uma.DecisionFilter{Rule: "none"}, nil, spanRecords},
		"of a rule and a subject": {uma.DecisionFilter{Rule: "all", Subject: "bob"}, []string{"d59007", "d58007"}, 5},
	}
	check := func(plan string) {
		for what, tc := range searches {
			var found []string
			read := 0
			err := s.read(t.Context(), func(c *conn) error {
				_, err := c.exec(`SET LOCAL plan_cache_mode = ` + plan)
				f, before := tc.f, recordsRead(t, c)
				if err == nil {
					err = narrowByTime(c, &f)
				}
				if err != nil {
					return err
				}
				records, err := findDecisions(c, f, newestFirst, 2)
				for _, r := range records {
					found = append(found, r.ID)
				}
				read = recordsRead(t, c) - before
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(found, tc.want) {
				t.Errorf("%s: got %v, want %v", what, found, tc.want)
			}
			if read > tc.most {
				t.Errorf("%s, %s: %d records were read, want at most %d", what, plan, read, tc.most)
			}
		}
	}
	check("force_custom_plan")
	check("force_generic_plan")
	if _, err := s.pool.Exec(t.Context(), `ANALYZE decision`); err != nil {
		t.Fatal(err)
	}
	check("force_custom_plan")
	check("force_generic_plan")
}

// recordsRead returns how many records the transaction has read so far.
func recordsRead(t *testing.T, c *conn) (n int) {
	t.Helper()
	err := c.row(`SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables
		WHERE relname LIKE 'decision%' AND relname <> 'decision_span'`, nil, &n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Records of another process are found, too, although this one has its own in memory: if not at once, then after those.
func TestRecordsOfAnotherProcess(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	s, other := open(t, Config{URL: database}), open(t, Config{URL: database})
	for i, by := range []*Store{s, s, other, s, other} {
		if err := by.Commit(t.Context(), record(fmt.Sprint("d", i))); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range [][]string{{"d0", "d1", "d2", "d3", "d4"}, {"d1", "d2", "d3", "d4"}, {"d2", "d3", "d4"}, {"d3", "d4"}, {"d4"}, nil} {
		for _, limit := range []int{1, 2, 10} {
			var got []string
			for last := int64(after); ; {
				records, err := s.DecisionsAfter(t.Context(), last, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(records) > limit {
					t.Fatalf("%d after %d: got %d records", limit, last, len(records))
				}
				if len(records) == 0 {
					break
				}
				for _, r := range records {
					got = append(got, r.ID)
				}
				last = records[len(records)-1].Seq
			}
			if !slices.Equal(got, want) {
				t.Errorf("pages of %d after %d: got %v, want %v", limit, after, got, want)
			}
		}
	}
}
