package rows

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
)

// A list is read as it was written, and whatever else a column has gives a value or an error.
func FuzzReadList(f *testing.F) {
	for _, seed := range []string{`[]`, ``, `[""]`, `["a"]`, `["a","b"]`, `["a,b","\""]`, `["\",\""]`, `["é",""]`, `[1]`, `["`, `null`, `","`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ReadList[string](text)
		text = string([]rune(text)) // invalid UTF-8 is replaced
		want := []string{text, "", text + `","`}
		got, err := ReadList[string](ListText(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
}

func TestListText(t *testing.T) {
	t.Parallel()
	for _, list := range [][]string{nil, {""}, {"a"}, {"a", "b"}, {`"`, `\`, `,`, `","`}, {"<&>", "é", "\x01"}} {
		got, err := ReadList[string](ListText(list))
		if err != nil || !slices.Equal(got, list) {
			t.Errorf("got %q, %v; want %q", got, err, list)
		}
	}
	if got := ListText[string](nil) + KeysText([]int64{1, -2}); got != "[][1,-2]" {
		t.Errorf("got %s", got)
	}
}

// Numbers stay what was written, and nothing leaves a value as it is.
func TestDocuments(t *testing.T) {
	t.Parallel()
	text, err := DocumentText(map[string]any{"n": json.Number("12345678901234567890.10"), "list": []any{"a", nil}})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	want := map[string]any{"n": json.Number("12345678901234567890.10"), "list": []any{"a", nil}}
	if err := ReadDocument(text, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	empty, err := DocumentText(map[string]any(nil))
	if err != nil || empty != "{}" || TextsText(nil) != "" || TextsText(map[string]string{"a": "b"}) != `{"a":"b"}` {
		t.Errorf("got %s, %v", empty, err)
	}
	for _, text := range []string{"", "{}", "null"} {
		var none map[string]any
		if err := ReadDocument(text, &none); err != nil || none != nil {
			t.Errorf("%q: got %v, %v", text, none, err)
		}
	}
	if ReadDocument("{", &got) == nil {
		t.Error("a damaged document is read")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 29, 1, 59, 59, 123_456_789, time.FixedZone("", 3600))
	if got := Time(Millis(at)); !got.Equal(at.Truncate(time.Millisecond)) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v", got, at)
	}
	if got := Millis(time.Time{}); got != 0 || !Time(got).IsZero() {
		t.Errorf("got %d for no time", got)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	list := []int{1, 2, 3}
	for _, tc := range []struct {
		first, max int
		want       []int
	}{{0, -1, list}, {1, 1, list[1:2]}, {2, 5, list[2:]}, {3, 1, nil}, {9, -1, nil}, {0, 0, nil}} {
		if got := PageIn(list, tc.first, tc.max); !slices.Equal(got, tc.want) {
			t.Errorf("%d, %d: got %v, want %v", tc.first, tc.max, got, tc.want)
		}
	}
	groups := [][]int{{1, 2, 3}, {}, {4}}
	if got := InTurn(groups, 9); !slices.Equal(got, []int{1, 4, 2, 3}) {
		t.Errorf("got %v", got)
	}
	if got := InTurn(groups, 2); !slices.Equal(got, []int{1, 4}) {
		t.Errorf("got %v", got)
	}
}

// Names are folded as Unicode says, e-mail addresses only in ASCII.
func TestFold(t *testing.T) {
	t.Parallel()
	if got := Fold("ÄbC") + LowerASCII("ÄbC@X"); got != "äbcÄbc@x" {
		t.Errorf("got %q", got)
	}
	if IsPart("éa") || !IsPart("éab") {
		t.Error("parts are counted in bytes")
	}
}
