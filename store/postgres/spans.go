package postgres

import (
	"context"

	"example.com/umpire/uma"
)

// A span is a number of records that follow each other. A row of decision_span says between which times
// they were made, and which rules they name. So a search by time or by rule reads few records that it
// does not look for, and a commit does not have to write an index for it. The rows are made afterwards:
// the last records have none, which each such search reads.

const (
	// spanRecords is how many records a span has, of numbers that follow each other.
	spanRecords = 4096

	// maxSpanRules is how many rules a row names. Spans with more are searched for each rule.
	maxSpanRules = 1000

	// spansAtOnce is how many rows are made in one transaction, and maxSpans how many at a time.
	spansAtOnce = 16
	maxSpans    = 2000

	// spanPage is how many rows a search reads at a time.
	spanPage = 64
)

// makeSpans makes the rows of spans that are complete, some thousand at most. Several processes make
// the same rows.
func (s *Store) makeSpans(ctx context.Context) error {
	var from, last int64
	size := s.cfg.spanRecords
	err := s.read(ctx, func(c *conn) error {
		return c.row(`SELECT greatest(`+endOfSpans+`, (SELECT value / $1 * $1 FROM counter WHERE name = 'pruned'),
			(SELECT (min(seq) - 1) / $1 * $1 FROM decision WHERE seq > (SELECT value FROM counter WHERE name = 'pruned'))), (SELECT value FROM counter WHERE name = 'decision')`,
			[]any{size}, &from, &last)
	})
	for n := 0; err == nil && from+size <= last && n < maxSpans; n += spansAtOnce {
		var commands []command
		for ; from+size <= last && len(commands) < spansAtOnce; from += size {
			commands = append(commands, command{query: `INSERT INTO decision_span (first, last, earliest, latest, rules)
				SELECT $1, $2, coalesce(min(time), 9223372036854775807), coalesce(max(time), -9223372036854775808),
					(SELECT CASE WHEN count(*) <= $3 THEN coalesce(array_agg(rule), '{}') END
					FROM (SELECT DISTINCT rule FROM decision d, unnest(d.rules) rule WHERE d.seq >= $1 AND d.seq <= $2) AS named)
				FROM decision WHERE seq >= $1 AND seq <= $2 ON CONFLICT (first) DO NOTHING`,
				args: []any{from + 1, from + size, maxSpanRules}})
		}
		err = s.writeAll(ctx, commands...)
	}
	return writing("spans of decision records", err)
}

// endOfSpans is the number of the last record of the last span, 0 without spans.
const endOfSpans = `coalesce((SELECT last FROM decision_span ORDER BY first DESC LIMIT 1), 0)`

// lastSpan returns the number of the last record of the last span.
func lastSpan(c *conn) (seq int64, err error) {
	err = c.row(`SELECT `+endOfSpans, nil, &seq)
	return seq, reading("spans of decision records", err)
}

// narrowByTime sets the numbers between which f looks for records to those that can be of its times.
func narrowByTime(c *conn, f *uma.DecisionFilter) error {
	if f.Since.IsZero() && f.Until.IsZero() {
		return nil
	}
	from, before := int64(0), int64(maxSeq)
	if !f.Since.IsZero() {
		err := c.row(`SELECT coalesce((SELECT min(first) FROM decision_span WHERE latest >= $1), `+endOfSpans+` + 1)`,
			[]any{millis(f.Since)}, &from)
		if err != nil {
			return reading("spans of decision records", err)
		}
	}
	if !f.Until.IsZero() {
		err := c.row(`SELECT CASE
			WHEN EXISTS (SELECT 1 FROM decision WHERE time < $1 AND seq > `+endOfSpans+`) THEN $2
			ELSE (SELECT coalesce(max(last), 0) + 1 FROM decision_span WHERE earliest < $1) END`, []any{millis(f.Until), before}, &before)
		if err != nil {
			return reading("spans of decision records", err)
		}
	}
	f.After = max(f.After, from-1)
	if f.Before == 0 || before < f.Before {
		f.Before = before
	}
	return nil
}

// eachSpan calls each with the numbers around those of spans that may have records with the rule of f,
// in an order, until it returns an error. each may use the connection.
func eachSpan(c *conn, f uma.DecisionFilter, order string, each func(after, before int64) error) error {
	for more := true; more; {
		var spans [][2]int64
		err := c.rows(`SELECT first, last FROM decision_span WHERE first > $1 AND first < $2 AND last > $3
			AND ($4 = ANY(rules) OR rules IS NULL) ORDER BY first `+order+` LIMIT $5`, []any{f.After - spanRecords, f.Before, f.After, f.Rule, spanPage}, func(scan scanFunc) error {
			var span [2]int64
			err := scan(&span[0], &span[1])
			spans = append(spans, span)
			return err
		})
		if err != nil {
			return reading("spans of decision records", err)
		}
		for _, span := range spans {
			if err := each(span[0]-1, span[1]+1); err != nil {
				return err
			}
			if order == newestFirst {
				f.Before = span[0]
			} else {
				f.After = span[1]
			}
		}
		more = len(spans) == spanPage
	}
	return nil
}
