package sqlite

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// recent has the last records that were committed, so that the decision log need not
// read them from the file. The zero value is empty.
type recent struct {
	mu   sync.Mutex
	last int64           // the highest seq
	ring [256]uma.Record // by seq; a new record replaces the oldest
}

// maxRecent is how many bytes an event may have to be kept in memory: a resource may
// have attributes of a megabyte.
const maxRecent = 16 << 10

func (r *recent) add(records []uma.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		r.last = record.Seq
		kept := &r.ring[record.Seq%int64(len(r.ring))]
		*kept = uma.Record{}
		if len(record.Event) <= maxRecent {
			*kept = record
			kept.Time = time.UnixMilli(millis(record.Time)).UTC() // as it is stored
		}
	}
}

// after returns the records that follow seq, at most limit, or none if not all of them
// are in memory.
func (r *recent) after(seq int64, limit int) (found []uma.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := min(seq+int64(limit), r.last)
	if seq < 0 || end-seq > int64(len(r.ring)) {
		return nil
	}
	for seq++; seq <= end; seq++ {
		record := &r.ring[seq%int64(len(r.ring))]
		if record.Seq != seq {
			return nil
		}
		found = append(found, *record)
	}
	return found
}

// saveRecords stores the records of a settlement, sets their Seq, and stores the parts
// that their events share.
func saveRecords(tx *conn, records []uma.Record, events storedEvents) error {
	var shared any
	if events.parts != nil {
		key, err := tx.insert(`INSERT INTO decision_shared (parts) VALUES (?)`, events.parts)
		if err != nil {
			return writing("shared parts of decision records", err)
		}
		shared = int64(key)
	}
	for i := range records {
		var err error
		if events.own == nil || events.own[i] == nil {
			err = saveRecord(tx, &records[i], plainEvent, records[i].Event, nil)
		} else {
			err = saveRecord(tx, &records[i], sharedEvent, events.own[i], shared)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// saveRecord stores a record and sets its Seq.
func saveRecord(tx *conn, r *uma.Record, encoding int, event []byte, shared any) error {
	_, err := tx.exec(`INSERT INTO decision
		(id, batch, realm, time, kind, outcome, answered, subject, client, server, resource, revision, rules, encoding, event, shared, request)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.Batch, r.Realm, millis(r.Time), r.Kind, r.Outcome, r.Answered, r.Subject, r.Client, r.Server,
		string(r.Resource), r.Revision, listText(r.Rules), encoding, event, shared, r.Request)
	if err != nil {
		return writing("decision record", err)
	}
	r.Seq = tx.db.LastInsertRowID()
	for _, rule := range r.Rules {
		_, err := tx.exec(`INSERT INTO decision_rule (rule, seq) VALUES (?, ?) ON CONFLICT DO NOTHING`, rule, r.Seq)
		if err != nil {
			return writing("rules of a decision record", err)
		}
	}
	return nil
}

const recordColumns = ` seq, id, batch, realm, time, kind, outcome, answered, subject, client, server, resource, revision,` +
	` rules, request, encoding, event, (SELECT parts FROM decision_shared WHERE key = shared) `

func scanRecord(scan scanFunc) (uma.Record, error) {
	var r uma.Record
	var encoding int64
	var own, parts []byte
	err := scan(&r.Seq, &r.ID, &r.Batch, &r.Realm, (*moment)(&r.Time), &r.Kind, &r.Outcome, &r.Answered, &r.Subject, &r.Client,
		&r.Server, (*namedText)(&r.Resource), &r.Revision, (*names)(&r.Rules), &r.Request, &encoding, &own, &parts)
	if err == nil {
		r.Event, err = decodeEvent(r.ID, encoding, own, parts)
	}
	return r, err
}

// FindDecisions implements uma.Decisions.
func (s *Store) FindDecisions(ctx context.Context, f uma.DecisionFilter, limit int) ([]uma.Record, error) {
	return fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		from, err := firstSince(c, f.Since)
		if err != nil {
			return nil, err
		}
		f.After = max(f.After, from-1)
		return findDecisions(c, f, newestFirst, limit)
	})
}

// decisionPage is how many records EachDecision reads at a time.
const decisionPage = 100

// EachDecision implements uma.Decisions.
func (s *Store) EachDecision(ctx context.Context, f uma.DecisionFilter, each func(*uma.Record) error) error {
	err := s.read(ctx, func(c *conn) error {
		from, err := firstSince(c, f.Since)
		f.After = max(f.After, from-1)
		if err == nil && !f.Until.IsZero() {
			var last int64
			err = c.row(`SELECT coalesce(max(+seq), 0) FROM decision WHERE time < ?`, []any{millis(f.Until)}, &last)
			f.Before = min(last+1, cmp.Or(f.Before, last+1))
		}
		return reading("decision records", err)
	})
	if err != nil {
		return err
	}
	next := func(c *conn) ([]uma.Record, bool, error) {
		page, err := findDecisions(c, f, oldestFirst, decisionPage)
		if len(page) > 0 {
			f.After = page[len(page)-1].Seq
		}
		return page, len(page) == decisionPage, reading("decision records", err)
	}
	return eachPage(ctx, s, next, func(r uma.Record) error { return each(&r) })
}

// firstSince returns the seq of the first record that is not older than since; one
// beyond the last if there is none, 0 without a time. The + keeps SQLite from searching
// the table from the other end.
func firstSince(c *conn, since time.Time) (seq int64, err error) {
	if !since.IsZero() {
		err = c.row(`SELECT coalesce(min(+seq), 1 << 62) FROM decision WHERE time >= ?`, []any{millis(since)}, &seq)
	}
	return seq, err
}

// The orders of a search.
const (
	newestFirst = "DESC"
	oldestFirst = "ASC"
)

func findDecisions(c *conn, f uma.DecisionFilter, order string, limit int) ([]uma.Record, error) {
	query, args := filterDecisions(f, order, limit)
	return list(c, query, args, scanRecord)
}

// filterDecisions returns a query for the records that f describes. The first key of f
// that is set chooses the index, whose rows are in the order of seq. The others have a
// +, which keeps SQLite from using their indexes: they are compared row by row. A rule
// is looked up in decision_rule, unless f has a narrower key.
func filterDecisions(f uma.DecisionFilter, order string, limit int) (string, []any) {
	var where []string
	var args []any
	keyed := false
	from, seq := `decision`, `seq`
	add := func(column, value string) {
		if value == "" {
			return
		}
		if keyed {
			column = "+" + column
		}
		where, args, keyed = append(where, column+` = ?`), append(args, value), true
	}
	if f.Request != "" {
		where = append(where, `request <> ''`) // the condition of the index
	}
	add(`request`, f.Request)
	add(`resource`, string(f.Resource))
	add(`subject`, f.Subject)
	switch {
	case f.Rule != "" && keyed:
		where, args = append(where, `EXISTS (SELECT 1 FROM decision_rule r WHERE r.rule = ? AND r.seq = decision.seq)`), append(args, f.Rule)
	case f.Rule != "":
		from, seq = `(SELECT seq AS at FROM decision_rule WHERE rule = ?) CROSS JOIN decision ON seq = at`, `at`
		args, keyed = append(args, f.Rule), true
	}
	add(`revision`, f.Revision)
	add(`client`, f.Client)
	add(`outcome`, f.Outcome)
	add(`realm`, f.Realm)
	where, args = append(where, seq+` > ?`), append(args, f.After)
	if f.Before > 0 {
		where, args = append(where, seq+` < ?`), append(args, f.Before)
	}
	if !f.Until.IsZero() {
		where, args = append(where, `+time < ?`), append(args, millis(f.Until))
	}
	if !f.Since.IsZero() {
		where, args = append(where, `+time >= ?`), append(args, millis(f.Since))
	}
	return `SELECT` + recordColumns + `FROM ` + from + ` WHERE ` + strings.Join(where, ` AND `) +
		` ORDER BY ` + seq + ` ` + order + ` LIMIT ? + 0`, append(args, limit)
}

// Decision implements uma.Decisions.
func (s *Store) Decision(ctx context.Context, id string) (*uma.Record, error) {
	return fetch(ctx, s, "decision record", func(c *conn) (*uma.Record, error) {
		r, err := oneRow(c, `SELECT`+recordColumns+`FROM decision WHERE id = ?`, []any{id}, scanRecord)
		if err != nil {
			return nil, err
		}
		return &r, nil
	})
}

// DecisionsAfter implements uma.Decisions.
func (s *Store) DecisionsAfter(ctx context.Context, seq int64, limit int) ([]uma.Record, error) {
	if found := s.recent.after(seq, limit); len(found) > 0 {
		return found, nil
	}
	return fetch(ctx, s, "decision records", func(c *conn) ([]uma.Record, error) {
		return list(c, `SELECT`+recordColumns+`FROM decision WHERE seq > ? ORDER BY seq LIMIT ? + 0`,
			[]any{seq, limit}, scanRecord)
	})
}

// LastDecision implements uma.Decisions.
func (s *Store) LastDecision(ctx context.Context) (int64, error) {
	return fetch(ctx, s, "the last decision record", func(c *conn) (seq int64, err error) {
		err = c.row(`SELECT coalesce(max(seq), 0) FROM decision`, nil, &seq)
		return seq, err
	})
}
