package sqlite

import (
	"bytes"
	"errors"
	"fmt"

	"example.com/umpire/uma"
)

// The events of one request repeat most of their members: the party, the client, the
// claims. A request for 200 permissions would store 16 KiB of pushed claims 200 times.
// Therefore a value that two of the events have is stored once, in decision_shared, and
// each event has a mark in its place. joinEvent makes the original event of both, byte by
// byte.

// The encodings of an event.
const (
	plainEvent  = 0 // as it is
	sharedEvent = 1 // with marks in place of the parts in a row of decision_shared
)

const (
	// partMark begins a mark, whose second byte is the number of the part; it also
	// separates the parts. JSON never has this byte.
	partMark = 0x01

	minPart  = 64  // bytes of a value that is worth a mark
	maxParts = 200 // numbers must fit into a byte
)

// A span is the place of a value in an event.
type span struct{ from, to int }

// storedEvents are the events of a settlement as they are stored.
type storedEvents struct {
	own   [][]byte // of each record; nil: its event is stored as it is
	parts []byte   // what they share; nil: nothing
}

// shareParts finds the values that the events of some records have in common.
func shareParts(records []uma.Record) storedEvents {
	if len(records) < 2 {
		return storedEvents{}
	}
	spans := make([][]span, len(records))
	uses := map[string]int{}
	for i := range records {
		event := records[i].Event
		if bytes.IndexByte(event, partMark) >= 0 {
			continue
		}
		spans[i] = valuesOf(event)
		for _, s := range spans[i] {
			uses[string(event[s.from:s.to])]++
		}
	}
	out := storedEvents{own: make([][]byte, len(records))}
	numbers := map[string]int{}
	for i := range records {
		event, end := records[i].Event, 0
		var own []byte
		for _, s := range spans[i] {
			value := event[s.from:s.to]
			n, known := numbers[string(value)]
			if !known {
				if n = len(numbers); uses[string(value)] < 2 || n == maxParts {
					continue
				}
				if n > 0 {
					out.parts = append(out.parts, partMark)
				}
				numbers[string(value)], out.parts = n, append(out.parts, value...)
			}
			own = append(append(own, event[end:s.from]...), partMark, byte(n))
			end = s.to
		}
		if own != nil {
			out.own[i] = append(own, event[end:]...)
		}
	}
	return out
}

// valuesOf returns the places of those values of an event's members, and of its input's
// members, that are longer than a mark. From invalid JSON on there are none.
func valuesOf(event []byte) []span {
	var found []span
	eachMember(event, 0, func(name []byte, s span) {
		switch {
		case string(name) == "input" && event[s.from] == '{':
			eachMember(event, s.from, func(_ []byte, s span) { found = appendLarge(found, s) })
		default:
			found = appendLarge(found, s)
		}
	})
	return found
}

func appendLarge(found []span, s span) []span {
	if s.to-s.from < minPart {
		return found
	}
	return append(found, s)
}

// eachMember calls each with the members of the object that begins at i. Events are
// written without blanks.
func eachMember(doc []byte, i int, each func(name []byte, value span)) {
	for i++; i < len(doc) && doc[i] == '"'; i++ {
		name := i
		if i = endOfString(doc, i); i >= len(doc) || doc[i] != ':' {
			return
		}
		value := span{i + 1, endOfValue(doc, i+1)}
		if value.to >= len(doc) || value.to == value.from {
			return
		}
		each(doc[name+1:i-1], value)
		if i = value.to; doc[i] != ',' {
			return
		}
	}
}

// endOfValue returns where the value that begins at i ends.
func endOfValue(doc []byte, i int) int {
	depth := 0
	for i < len(doc) {
		switch doc[i] {
		case '"':
			i = endOfString(doc, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth < 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// endOfString returns where the string that begins at i ends.
func endOfString(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

var errParts = errors.New("the parts that it shares with other records are missing")

// joinEvent returns the original of an event that is stored in the encoding
// sharedEvent.
func joinEvent(own, parts []byte) ([]byte, error) {
	shared := bytes.Split(parts, []byte{partMark})
	event := make([]byte, 0, len(own)+len(parts))
	for {
		before, mark, found := bytes.Cut(own, []byte{partMark})
		event = append(event, before...)
		if !found {
			return event, nil
		}
		if len(mark) == 0 || int(mark[0]) >= len(shared) {
			return nil, errParts
		}
		event, own = append(event, shared[mark[0]]...), mark[1:]
	}
}

// decodeEvent returns the event of a record from what is stored of it.
func decodeEvent(id string, encoding int64, own, parts []byte) ([]byte, error) {
	switch encoding {
	case plainEvent:
		return own, nil
	case sharedEvent:
		event, err := joinEvent(own, parts)
		if err != nil {
			return nil, fmt.Errorf("decision record %s: %w", id, err)
		}
		return event, nil
	}
	return nil, fmt.Errorf("decision record %s has encoding %d, which this umpire does not know", id, encoding)
}
