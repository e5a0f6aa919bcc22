package sqlite

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"slices"

	"example.com/umpire/uma"
)

// The index of records has a row for each term of a chunk, with the numbers of the records
// that have the term. Most terms, such as the realm or an outcome, are those of many records
// of a chunk: one row for all of them costs a fraction of a row for each.
//
// Rare terms, such as an id or a resource, are those of few records. In the order of terms each of
// their rows would be on a page of its own. They are in the order of chunks, so that they are
// appended, and a search looks for its term in each chunk.

// A term is one of these and the value.
const (
	byID       = "i"
	byRequest  = "q"
	byResource = "r"
	bySubject  = "s"
	byRule     = "u"
	byRevision = "v"
	byClient   = "c"
	byOutcome  = "o"
	byRealm    = "m"
)

// isRare reports whether a term is one of those that few records have.
func isRare(term string) bool {
	switch term[:1] {
	case byID, byRequest, byResource, bySubject:
		return true
	}
	return false
}

// termsOf returns the terms that a record is found by. An empty value is none.
func termsOf(r *uma.Record) []string {
	terms := make([]string, 0, 8+len(r.Rules))
	add := func(kind, value string) {
		if value != "" {
			terms = append(terms, kind+value)
		}
	}
	add(byID, r.ID)
	add(byRequest, r.Request)
	add(byResource, string(r.Resource))
	add(bySubject, r.Subject)
	add(byRevision, r.Revision)
	add(byClient, r.Client)
	add(byOutcome, r.Outcome)
	add(byRealm, r.Realm)
	for i, rule := range r.Rules {
		if !slices.Contains(r.Rules[:i], rule) {
			add(byRule, rule)
		}
	}
	return terms
}

// termOf returns the term that fewest records have, usually, of those that f demands; empty
// if it demands none.
func termOf(f *uma.DecisionFilter) string {
	for _, key := range [...][2]string{
		{byRequest, f.Request}, {byResource, string(f.Resource)}, {bySubject, f.Subject}, {byRule, f.Rule},
		{byRevision, f.Revision}, {byClient, f.Client}, {byOutcome, f.Outcome}, {byRealm, f.Realm},
	} {
		if key[1] != "" {
			return key[0] + key[1]
		}
	}
	return ""
}

// indexedUpTo returns the number of the last record that is indexed. Retention removes
// chunks and records from the oldest on, so that 0 is right when none is left.
func indexedUpTo(c *conn) (seq int64, err error) {
	err = c.row(`SELECT coalesce((SELECT last FROM decision_chunk WHERE first = (SELECT max(first) FROM decision_chunk)), 0)`, nil, &seq)
	return seq, reading("the end of the index of decision records", err)
}

// A chunk is records that are indexed together.
type chunk struct {
	after   int64 // number of the last record that was indexed when they were read
	last    int64 // key of the last chunk if the records begin with its own, because it was not full; or 0
	records []uma.Record
}

// readChunk returns the next records that are not indexed, after those of the last chunk if
// that is not full: at most limit together. Without a record to index there are none. Those that
// are in memory are not read.
func readChunk(c *conn, recent *recentRecords, limit int) (next chunk, err error) {
	var first int64
	err = c.row(`SELECT first, last FROM decision_chunk WHERE first = (SELECT max(first) FROM decision_chunk)`, nil, &first, &next.after)
	if err != nil && !errors.Is(err, uma.ErrNotFound) {
		return chunk{}, reading("the end of the index of decision records", err)
	}
	from := next.after
	if size := next.after - first + 1; first > 0 && size < int64(min(limit, indexChunk)) {
		next.last, from = first, first-1
	}
	if next.records = recent.after(from, limit); next.records != nil {
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
			next.last, next.records = 0, nil // numbers are missing: the last chunk stays as it is
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
		at := millis(r.Time)
		t.last, t.earliest, t.latest = r.Seq, min(t.earliest, at), max(t.latest, at)
		for _, term := range termsOf(r) {
			t.numbers[term] = append(t.numbers[term], r.Seq)
		}
	}
	t.sorted = slices.Sorted(maps.Keys(t.numbers))
	return t
}

// add adds a chunk to the index, in place of the one that was not full, unless another process
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
	if t.of.last != 0 {
		if err := t.replace(tx); err != nil {
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

// replace removes the rows of the last chunk, which was not full.
func (t *chunkTerms) replace(tx *conn) error {
	commands := []command{
		{`DELETE FROM decision_rare WHERE chunk = ?`, []any{t.of.last}},
		{`DELETE FROM decision_chunk WHERE first = ?`, []any{t.of.last}},
	}
	for _, term := range t.sorted {
		if !isRare(term) {
			commands = append(commands, command{`DELETE FROM decision_common WHERE term = ? AND first >= ?`, []any{term, t.of.last}})
		}
	}
	return runAll(tx, commands)
}

// packSeqs returns the numbers after the first, each as the difference to the one before.
func packSeqs(seqs []int64) []byte {
	packed := make([]byte, 0, len(seqs)-1)
	for i := 1; i < len(seqs); i++ {
		packed = binary.AppendUvarint(packed, uint64(seqs[i]-seqs[i-1]))
	}
	return packed
}

var errSeqs = errors.New("a row of the index of decision records is damaged")

// unpackSeqs returns the numbers of a row.
func unpackSeqs(first int64, packed []byte) ([]int64, error) {
	seqs := append(make([]int64, 0, 1+len(packed)), first)
	for len(packed) > 0 {
		step, n := binary.Uvarint(packed)
		if n <= 0 {
			return nil, errSeqs
		}
		first += int64(step)
		seqs, packed = append(seqs, first), packed[n:]
	}
	return seqs, nil
}

// eachTermRow calls each with the numbers between after and before of the indexed records
// that have a term, row by row.
func eachTermRow(c *conn, term string, after, before int64, order string, each func(seqs []int64) error) error {
	query := `SELECT first, rest FROM decision_common WHERE term = ? AND first > ? AND first < ? AND last > ? ORDER BY first `
	if isRare(term) {
		query = `SELECT t.first, t.rest FROM decision_chunk c CROSS JOIN decision_rare t ON t.chunk = c.first AND t.term = ?
			WHERE c.first > ? AND c.first < ? AND c.last > ? ORDER BY c.first `
	}
	// The numbers of a chunk are within maxIndexChunk.
	err := c.rows(query+order, []any{term, after - maxIndexChunk, before, after}, func(scan scanFunc) error {
		var first int64
		var rest []byte
		if err := scan(&first, &rest); err != nil {
			return err
		}
		seqs, err := unpackSeqs(first, rest)
		if err != nil {
			return err
		}
		seqs = slices.DeleteFunc(seqs, func(seq int64) bool { return seq <= after || seq >= before })
		if len(seqs) == 0 {
			return nil
		}
		if order == newestFirst {
			slices.Reverse(seqs)
		}
		return each(seqs)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// findByTerm returns a search among the indexed records that have a term.
func findByTerm(term string) func(c *conn, f uma.DecisionFilter, order string, limit int) ([]uma.Record, error) {
	return func(c *conn, f uma.DecisionFilter, order string, limit int) (found []uma.Record, err error) {
		err = eachTermRow(c, term, f.After, cmp.Or(f.Before, maxSeq), order, func(seqs []int64) error {
			more, err := loggedRecords(c, `SELECT`+loggedColumns+`FROM json_each(?) x CROSS JOIN decision_log ON seq = x.value`,
				[]any{keysText(seqs)}, &f, limit-len(found))
			if found = append(found, more...); err == nil && len(found) == limit {
				err = errEnough
			}
			return err
		})
		return found, err
	}
}

// countByTerm counts the records after seq that have a term, at most limit.
func countByTerm(c *conn, term string, seq int64, limit int) (n int, err error) {
	err = eachTermRow(c, term, seq, maxSeq, oldestFirst, func(seqs []int64) error {
		if n = min(n+len(seqs), limit); n == limit {
			return errEnough
		}
		return nil
	})
	return n, err
}

// dropTerms removes the rows of common terms whose records are all gone, for terms of removed
// records.
func dropTerms(terms []string, upTo int64) (commands []command) {
	terms = slices.DeleteFunc(terms, isRare)
	slices.Sort(terms)
	for _, term := range slices.Compact(terms) {
		commands = append(commands, command{`DELETE FROM decision_common WHERE term = ? AND first <= ?2 AND last <= ?2`, []any{term, upTo}})
	}
	return commands
}
