package rows

import (
	"slices"
	"testing"
	"time"

	"example.com/umpire/uma"
)

func TestRemovable(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return time.UnixMilli(0).Add(time.Duration(minutes) * time.Minute) }
	records := []OldRecord{{1, "a", at(0)}, {2, "b", at(2)}, {3, "a", at(1)}, {4, "b", at(3)}}
	all, ofA := uma.Sink{Hold: 10 * time.Minute}, uma.Sink{Realm: "a", Hold: time.Hour}
	delivered := func(s uma.Sink, cursor int64) uma.Sink { s.Cursor = cursor; return s }
	for what, tc := range map[string]struct {
		sinks  []uma.Sink
		before time.Time
		want   int
		cut    []int64
	}{
		"none is old":                   {nil, at(0), 0, nil},
		"up to the first that is not":   {nil, at(2), 1, nil},
		"all":                           {nil, at(4), 4, nil},
		"a sink waits":                  {[]uma.Sink{all}, at(4), 0, []int64{0}},
		"it has some":                   {[]uma.Sink{delivered(all, 2)}, at(4), 2, []int64{0}},
		"it waited long enough":         {[]uma.Sink{delivered(all, 1)}, at(13), 3, []int64{2}},
		"it is of another realm":        {[]uma.Sink{delivered(ofA, 1)}, at(4), 2, []int64{0}},
		"one waited and another not":    {[]uma.Sink{all, delivered(ofA, 1)}, at(60), 2, []int64{2, 0}},
		"both waited, and lose theirs":  {[]uma.Sink{all, ofA}, at(120), 4, []int64{4, 2}},
		"one has all, the other a part": {[]uma.Sink{delivered(all, 4), delivered(ofA, 1)}, at(120), 4, []int64{0, 1}},
	} {
		n, cut := Removable(records, tc.sinks, tc.before)
		if n != tc.want || !slices.Equal(cut, tc.cut) {
			t.Errorf("%s: got %d and %v, want %d and %v", what, n, cut, tc.want, tc.cut)
		}
	}
}
