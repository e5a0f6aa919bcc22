package uma

import (
	"regexp"
	"slices"
	"testing"
	"time"
)

func TestSerial(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(0x0123456789ab).Add(500 * time.Microsecond)
	shape := regexp.MustCompile(`^01234567-89ab-7800-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if got := newSerial(at); !shape.MatchString(got) {
		t.Errorf("got %s, want one like %s", got, shape)
	}
	if one, other := newSerial(at), newSerial(at); one == other {
		t.Error("two of one moment are the same")
	}
	var ids []string
	for range 100 {
		ids = append(ids, newSerial(at))
		at = at.Add(time.Microsecond)
	}
	if !slices.IsSorted(ids) {
		t.Error("they do not follow one another")
	}
}
