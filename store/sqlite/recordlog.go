package sqlite

import (
	"cmp"
	"encoding/binary"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// A commit appends records to decision_log, which has no index but their numbers. The
// indexer adds them to the index afterwards, in chunks and in the order of seq. What
// follows the last chunk is not indexed yet. Records of an earlier schema are in the table
// decision (see oldrecords.go) and come before all others.

// saveRecords appends the records of a settlement, sets their Seq, and stores the parts
// that their events share.
func saveRecords(tx *conn, records []uma.Record, stored storedRecords) error {
	return saveNumbered(tx, records, stored, func(int) any { return nil })
}

// saveNumbered is saveRecords for records that have numbers: number returns that of each, nil for
// the next one.
func saveNumbered(tx *conn, records []uma.Record, stored storedRecords, number func(i int) any) error {
	var shared any
	if stored.parts != nil {
		key, err := tx.insert(`INSERT INTO decision_shared (parts) VALUES (?)`, stored.parts)
		if err != nil {
			return writing("shared parts of decision records", err)
		}
		shared = int64(key)
	}
	for i := range records {
		r := &records[i]
		encoding, event, key := plainEvent, r.Event, any(nil)
		if stored.own != nil && stored.own[i] != nil {
			encoding, event, key = sharedEvent, stored.own[i], shared
		}
		_, err := tx.exec(`INSERT INTO decision_log (seq, fields, encoding, event, shared) VALUES (?, ?, ?, ?, ?)`,
			number(i), stored.fields[i], encoding, event, key)
		if err != nil {
			return writing("decision record", err)
		}
		r.Seq = tx.db.LastInsertRowID()
	}
	return nil
}

// storedRecords are the records of a settlement as they are stored.
type storedRecords struct {
	fields [][]byte // of each record
	storedEvents
}

// packRecords does what can be done before the writer runs the settlement.
func packRecords(records []uma.Record) storedRecords {
	stored := storedRecords{fields: make([][]byte, len(records)), storedEvents: shareParts(records)}
	for i := range records {
		stored.fields[i] = packRecord(&records[i])
	}
	return stored
}

// packedRecord is the first byte of the fields of a record. Another number says that they
// were packed by a later version.
const packedRecord = 1

// packRecord returns the fields of a record without its number and event: the time, then
// each text after its length, the rules last. One value is bound and read in a fraction
// of the time of seventeen columns.
func packRecord(r *uma.Record) []byte {
	size := 16
	for _, s := range textFields(r) {
		size += len(*s) + 2
	}
	for _, rule := range r.Rules {
		size += len(rule) + 2
	}
	packed := binary.AppendVarint(append(make([]byte, 0, size), packedRecord), rows.Millis(r.Time))
	for _, s := range textFields(r) {
		packed = appendText(packed, *s)
	}
	for _, rule := range r.Rules {
		packed = appendText(packed, rule)
	}
	return packed
}

func appendText(packed []byte, s string) []byte {
	return append(binary.AppendUvarint(packed, uint64(len(s))), s...)
}

// textFields are the texts of a record in the order in which they are packed. A new one
// would have to be last, under another number than packedRecord.
func textFields(r *uma.Record) [12]*string {
	return [...]*string{&r.ID, &r.Batch, &r.Realm, &r.Kind, &r.Outcome, &r.Answered, &r.Subject, &r.Client, &r.Server,
		(*string)(&r.Resource), &r.Revision, &r.Request}
}

var errPacked = errors.New("the fields of a decision record are damaged, or of a later umpire")

// unpackRecord sets the fields that packRecord packed.
func unpackRecord(packed string, r *uma.Record) error {
	if packed == "" || packed[0] != packedRecord {
		return errPacked
	}
	at, n := binary.Varint([]byte(packed[1:min(len(packed), 1+binary.MaxVarintLen64)]))
	if n <= 0 {
		return errPacked
	}
	if r.Time = (time.Time{}); at != 0 {
		r.Time = time.UnixMilli(at).UTC()
	}
	packed = packed[1+n:]
	var ok bool
	for _, s := range textFields(r) {
		if *s, packed, ok = cutText(packed); !ok {
			return errPacked
		}
	}
	for r.Rules = nil; packed != ""; {
		var rule string
		if rule, packed, ok = cutText(packed); !ok {
			return errPacked
		}
		r.Rules = append(r.Rules, rule)
	}
	return nil
}

// cutText returns the text at the beginning of packed, and what follows it.
func cutText(packed string) (s, rest string, ok bool) {
	size, n := binary.Uvarint([]byte(packed[:min(len(packed), binary.MaxVarintLen64)]))
	if n <= 0 || size > uint64(len(packed)-n) {
		return "", "", false
	}
	return packed[n : n+int(size)], packed[n+int(size):], true
}

// packedFields reads the column fields into a record.
type packedFields uma.Record

func (p *packedFields) read(s *sqlite.Stmt, i int) error {
	packed := make([]byte, s.ColumnLen(i))
	s.ColumnBytes(i, packed)
	return unpackRecord(string(packed), (*uma.Record)(p))
}

// lastRecord returns the number of the last record.
func lastRecord(c *conn) (seq int64, err error) {
	err = c.row(`SELECT coalesce((SELECT max(seq) FROM decision_log), (SELECT max(seq) FROM decision), 0)`, nil, &seq)
	return seq, err
}

// maxSeq is beyond every number of a record.
const maxSeq = 1 << 62

const loggedColumns = ` seq, fields, encoding, event, (SELECT parts FROM decision_shared WHERE key = shared) `

// loggedRecords collects those of the rows of a query of loggedColumns that f describes, at
// most limit.
func loggedRecords(c *conn, query string, args []any, f *uma.DecisionFilter, limit int) (found []uma.Record, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = c.rows(query, args, func(scan scanFunc) error {
		var r uma.Record
		err := scan(&r.Seq, (*packedFields)(&r))
		if err != nil || !rows.MatchesRecord(&r, f) {
			return err
		}
		var encoding int64
		var own, parts []byte
		if err := scan(&r.Seq, (*packedFields)(&r), &encoding, &own, &parts); err != nil {
			return err
		}
		if r.Event, err = decodeEvent(r.ID, encoding, own, parts); err != nil {
			return err
		}
		if found = append(found, r); len(found) == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return found, err
}

// walkLog returns the records of decision_log that f describes, one by one.
func walkLog(c *conn, f uma.DecisionFilter, order string, limit int) ([]uma.Record, error) {
	return loggedRecords(c, `SELECT`+loggedColumns+`FROM decision_log WHERE seq > ? AND seq < ? ORDER BY seq `+order,
		[]any{f.After, cmp.Or(f.Before, maxSeq)}, &f, limit)
}

// eachUnindexed calls each with the records after seq that are not indexed, without their
// events, oldest first, until it returns false.
func eachUnindexed(c *conn, seq int64, each func(r *uma.Record) bool) error {
	from, err := indexedUpTo(c)
	if err != nil {
		return err
	}
	err = c.rows(`SELECT seq, fields FROM decision_log WHERE seq > ? ORDER BY seq`, []any{max(from, seq)}, func(scan scanFunc) error {
		var r uma.Record
		if err := scan(&r.Seq, (*packedFields)(&r)); err != nil {
			return err
		}
		if !each(&r) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}
