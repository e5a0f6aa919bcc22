package sqlite

import (
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Records of a schema before the ninth are in the table decision, one column for each
// field, with an index for each key. They are read there until they are removed.

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

func findOld(c *conn, f uma.DecisionFilter, order string, limit int) ([]uma.Record, error) {
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
		where, args = append(where, `+time < ?`), append(args, rows.Millis(f.Until))
	}
	if !f.Since.IsZero() {
		where, args = append(where, `+time >= ?`), append(args, rows.Millis(f.Since))
	}
	return `SELECT` + recordColumns + `FROM ` + from + ` WHERE ` + strings.Join(where, ` AND `) +
		` ORDER BY ` + seq + ` ` + order + ` LIMIT ? + 0`, append(args, limit)
}
