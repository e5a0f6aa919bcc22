package uma

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// newSerial returns a UUID that begins with the time (RFC 9562 §5.7), for what
// each request adds to an index: a row follows the one before it there, and not
// every row is on a page of its own. Nobody may rely on it not being guessed.
func newSerial(now time.Time) string {
	const version, variant = 7 << 12, 2 << 62
	fraction := uint64(now.Nanosecond()%1e6) << 12 / 1e6 // of a millisecond (§6.2)
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(now.UnixMilli())<<16|version|fraction)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()>>2|variant)
	var text [36]byte
	for i, part := range [][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		at := 2*part[0] + i
		if i > 0 {
			text[at-1] = '-'
		}
		hex.Encode(text[at:], id[part[0]:part[1]])
	}
	return string(text[:])
}
