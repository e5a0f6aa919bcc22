package sqlite

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"example.com/umpire/uma"
)

// The index of records has a row for each term of a chunk, with the numbers of the records
// that have the term. Most terms, such as the realm or an outcome, are those of many records
// of a chunk: one row for all of them costs a fraction of a row for each.

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

// indexRecords indexes the next records, at most limit. It returns the number of the last
// one that is indexed, and whether there was any to index.
func indexRecords(tx *conn, limit int) (upTo int64, found bool, err error) {
	if upTo, err = indexedUpTo(tx); err != nil {
		return 0, false, err
	}
	numbers := map[string][]int64{} // by term
	var first, earliest, latest int64
	err = tx.rows(`SELECT seq, fields FROM decision_log WHERE seq > ? ORDER BY seq LIMIT ? + 0`, []any{upTo, limit}, func(scan scanFunc) error {
		var r uma.Record
		if err := scan(&r.Seq, (*packedFields)(&r)); err != nil {
			return err
		}
		at := millis(r.Time)
		if first == 0 {
			first, earliest, latest = r.Seq, at, at
		}
		if r.Seq-first >= maxIndexChunk {
			return errEnough
		}
		upTo, earliest, latest = r.Seq, min(earliest, at), max(latest, at)
		for _, term := range termsOf(&r) {
			numbers[term] = append(numbers[term], r.Seq)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return 0, false, reading("decision records that are not indexed", err)
	}
	if first == 0 {
		return upTo, false, nil
	}
	if _, err := tx.exec(`INSERT INTO decision_chunk (first, last, earliest, latest) VALUES (?, ?, ?, ?)`, first, upTo, earliest, latest); err != nil {
		return 0, false, writing("the index of decision records", err)
	}
	for _, term := range slices.Sorted(maps.Keys(numbers)) { // neighbours are on one page
		seqs := numbers[term]
		_, err := tx.exec(`INSERT INTO decision_term (term, first, last, rest) VALUES (?, ?, ?, ?)`,
			term, seqs[0], seqs[len(seqs)-1], packSeqs(seqs))
		if err != nil {
			return 0, false, writing("the index of decision records", err)
		}
	}
	return upTo, true, nil
}

// packSeqs returns the numbers after the first, each as the difference to the one before.
func packSeqs(seqs []int64) []byte {
	packed := make([]byte, 0, len(seqs)-1)
	for i := 1; i < len(seqs); i++ {
		packed = binary.AppendUvarint(packed, uint64(seqs[i]-seqs[i-1]))
	}
	return packed
}

var errSeqs = errors.New("a row of decision_term is damaged")

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
	// The numbers of a row are within maxIndexChunk.
	err := c.rows(`SELECT first, rest FROM decision_term WHERE term = ? AND first > ? AND first < ? AND last > ? ORDER BY first `+order,
		[]any{term, after - maxIndexChunk, before, after}, func(scan scanFunc) error {
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

// dropTerms removes the rows whose records are all gone, for terms of removed records.
func dropTerms(terms []string, upTo int64) (commands []command) {
	slices.Sort(terms)
	for _, term := range slices.Compact(terms) {
		commands = append(commands, command{`DELETE FROM decision_term WHERE term = ? AND first <= ?2 AND last <= ?2`, []any{term, upTo}})
	}
	return commands
}
