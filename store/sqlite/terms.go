package sqlite

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"example.com/umpire/store/rows"
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
				[]any{rows.KeysText(seqs)}, &f, limit-len(found))
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
