package sqlite

import (
	"errors"
	"maps"
	"math"
	"slices"

	"example.com/umpire/store/memory"
	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A chunk is records that are indexed together.
type chunk struct {
	after   int64 // number of the last record that was indexed when they were read
	partial int64 // key of the last chunk, whose records come first because it was not full; 0: none does
	records []uma.Record
}

// readChunk returns the next records that are not indexed, after those of the last chunk if
// that is not full: at most limit together. Without a record to index there are none. Those that
// are in memory are not read.
func readChunk(c *conn, recent *memory.Recent, limit int) (next chunk, err error) {
	var first int64
	err = c.row(`SELECT first, last FROM decision_chunk WHERE first = (SELECT max(first) FROM decision_chunk)`, nil, &first, &next.after)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return chunk{}, reading("the end of the index of decision records", err)
	}
	from := next.after
	if size := next.after - first + 1; first > 0 && size < int64(min(limit, indexChunk)) {
		next.partial, from = first, first-1
	}
	if next.records = recent.After(from, limit); next.records != nil {
		return next.ifAny(), nil
	}
	err = c.rows(`SELECT seq, fields FROM decision_log WHERE seq > ? ORDER BY seq LIMIT ? + 0`, []any{from, limit}, func(scan scanFunc) error {
		var r uma.Record
		if err := scan(&r.Seq, (*packedFields)(&r)); err != nil {
			return err
		}
		if n := len(next.records); n > 0 && r.Seq-next.records[0].Seq >= maxIndexChunk {
			if next.records[n-1].Seq > next.after {
				return errEnough
			}
			next.partial, next.records = 0, nil // numbers are missing: the last chunk stays as it is
		}
		next.records = append(next.records, r)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return chunk{}, reading("decision records that are not indexed", err)
	}
	return next.ifAny(), nil
}

// ifAny returns the chunk without records if it has none that is not indexed.
func (c chunk) ifAny() chunk {
	if n := len(c.records); n > 0 && c.records[n-1].Seq <= c.after {
		c.records = nil
	}
	return c
}

// chunkTerms are the terms of a chunk, and the numbers of the records that have each.
type chunkTerms struct {
	of               chunk
	first, last      int64
	earliest, latest int64    // times of records
	sorted           []string // because neighbours are on one page
	numbers          map[string][]int64
}

func (c *chunk) terms() chunkTerms {
	t := chunkTerms{of: *c, first: c.records[0].Seq, earliest: math.MaxInt64, latest: math.MinInt64,
		numbers: make(map[string][]int64, 3*len(c.records))}
	for i := range c.records {
		r := &c.records[i]
		at := rows.Millis(r.Time)
		t.last, t.earliest, t.latest = r.Seq, min(t.earliest, at), max(t.latest, at)
		for _, term := range termsOf(r) {
			t.numbers[term] = append(t.numbers[term], r.Seq)
		}
	}
	t.sorted = slices.Sorted(maps.Keys(t.numbers))
	return t
}

// add adds a chunk to the index, in place of a partial one, unless another process
// has indexed or removed some of its records meanwhile. It returns the number of the last record
// that is indexed.
func (t *chunkTerms) add(tx *conn) (upTo int64, err error) {
	if upTo, err = indexedUpTo(tx); err != nil || upTo != t.of.after {
		return upTo, err
	}
	// Retention removes the oldest first.
	there, err := tx.exists(`SELECT 1 FROM decision_log WHERE seq = ?`, t.first)
	if err != nil || !there {
		return upTo, reading("a decision record that is not indexed", err)
	}
	if t.of.partial != 0 {
		if err := t.dropPartial(tx); err != nil {
			return 0, writing("the index of decision records", err)
		}
	}
	if err := t.insert(tx); err != nil {
		return 0, writing("the index of decision records", err)
	}
	return t.last, nil
}

func (t *chunkTerms) insert(tx *conn) error {
	if _, err := tx.exec(`INSERT INTO decision_chunk (first, last, earliest, latest) VALUES (?, ?, ?, ?)`, t.first, t.last, t.earliest, t.latest); err != nil {
		return err
	}
	for _, term := range t.sorted {
		seqs := t.numbers[term]
		query, args := `INSERT INTO decision_common (term, first, last, rest) VALUES (?, ?, ?, ?)`, []any{term, seqs[0], seqs[len(seqs)-1], packSeqs(seqs)}
		if isRare(term) {
			query, args = `INSERT INTO decision_rare (term, first, last, rest, chunk) VALUES (?, ?, ?, ?, ?)`, append(args, t.first)
		}
		if _, err := tx.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

// dropPartial removes the rows of the chunk that was not full.
func (t *chunkTerms) dropPartial(tx *conn) error {
	commands := []command{
		{`DELETE FROM decision_rare WHERE chunk = ?`, []any{t.of.partial}},
		{`DELETE FROM decision_chunk WHERE first = ?`, []any{t.of.partial}},
	}
	for _, term := range t.sorted {
		if !isRare(term) {
			commands = append(commands, command{`DELETE FROM decision_common WHERE term = ? AND first >= ?`, []any{term, t.of.partial}})
		}
	}
	return runAll(tx, commands)
}
