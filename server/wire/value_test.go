package wire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"example.com/umpire/server/wire"
)

func TestParseJSONRefuses(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	const cannot = "Cannot parse the JSON"
	tests := []struct{ name, body, want string }{
		{"half an object", "{", cannot},
		{"trailing garbage", `{"a":1} x`, cannot},
		{"two values", `{} {}`, cannot},
		{"single quotes", `{'a':1}`, cannot},
		{"no UTF-8", "{\"a\":\"\xff\"}", cannot},
		{"NUL in a string", `{"a":"\u0000"}`, cannot},
		{"NUL in a name", `{"\u0000":"a"}`, cannot},
		{"half a surrogate pair", `{"a":"\ud800"}`, cannot},
		{"half a surrogate pair beside an escaped backslash", `{"a":"\\ufffd\ud800"}`, cannot},
		{"half a pair beside a replacement character", `{"a":"\ufffd\udfff"}`, cannot},
		{"duplicate name", `{"a":1,"b":2,"a":3}`, cannot + ": a is given twice"},
		{"duplicate name, escaped", `{"a":1,"\u0061":3}`, cannot + ": a is given twice"},
		{"duplicate name far down", `{"a":{"b":[{"c":1,"c":2}]}}`, cannot + ": c is given twice"},
		{"duplicate among many", `{"x":1,` + manyNames(30) + `,"x":2}`, cannot + ": x is given twice"},
		{"deep", deep(33), cannot + ": too deep"},
		{"very deep", deep(9_000), cannot + ": too deep"},
		{"many values", "[" + strings.Repeat("1,", 10_000) + "1]", cannot + ": too many values"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := wire.ParseJSON(tt.body)
			if err == nil {
				t.Fatal("got no error")
			}
			if got := refused(t, err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	for _, good := range []string{`"\ud83d\ude00"`, `"\uFFFD�"`} { // a whole pair, and what is a replacement character
		if _, err := wire.ParseJSON(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if _, err := wire.ParseJSON(deep(32)); err != nil {
		t.Errorf("a depth of 32: %v", err)
	}
}

func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = `"` + strings.Repeat("n", i+1) + `":null`
	}
	return strings.Join(names, ",")
}

func TestParseJSON(t *testing.T) {
	t.Parallel()
	v, err := wire.ParseJSON(` {"Name":"other case","name":"a\"\u00e9","n":null,"yes":true,"no":false,"num":-1.5e3,"whole":-7,"digits":"7",
		"list":["x","y"], "empty":[], "lists":{"k":["1","2"],"s":"one"}, "obj":{"deep":{}}} `)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.String("name"); got != `a"é` || err != nil {
		t.Errorf("name: got %q, %v", got, err)
	}
	if got, err := v.String("n"); got != "" || err != nil {
		t.Errorf("null is absent: got %q, %v", got, err)
	}
	if yes, present, err := v.Bool("yes"); !yes || !present || err != nil {
		t.Errorf("yes: got %v, %v, %v", yes, present, err)
	}
	if got, err := v.Strings("list"); strings.Join(got, " ") != "x y" || err != nil {
		t.Errorf("list: got %q, %v", got, err)
	}
	if got, err := v.Strings("empty"); got == nil || err != nil {
		t.Errorf("an empty list is not an absent one: got %v, %v", got, err)
	}
	if got, err := v.Lists("lists"); len(got) != 2 || len(got["k"]) != 2 || got["s"][0] != "one" || err != nil {
		t.Errorf("lists: got %v, %v", got, err)
	}
	if _, err := v.Int("num"); err == nil {
		t.Error("-1.5e3 passes for a whole number")
	}
	if got, err := v.Int("whole"); got != -7 || err != nil {
		t.Errorf("whole: got %d, %v", got, err)
	}
	if got, err := v.Int("n"); got != 0 || err != nil {
		t.Errorf("null is absent: got %d, %v", got, err)
	}
	if _, err := v.Int("digits"); err == nil {
		t.Error("a string passes for a number")
	}
	for _, name := range []string{"yes", "num", "list", "obj"} {
		if _, err := v.String(name); err == nil {
			t.Errorf("%s passes for a string", name)
		}
	}
	for _, name := range []string{"name", "num", "obj"} {
		if _, err := v.Strings(name); err == nil {
			t.Errorf("%s passes for a list", name)
		}
		if _, _, err := v.Bool(name); err == nil {
			t.Errorf("%s passes for a boolean", name)
		}
	}
	if _, err := v.Lists("obj"); err == nil {
		t.Error("an object of objects passes for lists")
	}
}

// FuzzJSON holds the reader against encoding/json: what it accepts is the same
// value, and what is no JSON it refuses.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",null,true,{"b":"\n"}]}`, `"\ud83d\ude00"`, ` [ ] `, `{"a":1,"a":2}`, "", `1e5`, `[,]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := wire.ParseJSON(text)
		if err != nil {
			refused(t, err)
			return
		}
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			if v.Kind == wire.Absent && strings.TrimSpace(text) == "" {
				return
			}
			t.Fatalf("accepted what is no JSON: %q: %v", text, err)
		}
		same(t, v, want)
	})
}

func same(t *testing.T, got wire.Value, want any) {
	t.Helper()
	switch want := want.(type) {
	case nil:
		if got.Kind != wire.Absent {
			t.Fatalf("got kind %d, want null", got.Kind)
		}
	case bool:
		if got.Kind != wire.Bool || got.True != want {
			t.Fatalf("got %+v, want %v", got, want)
		}
	case float64:
		if got.Kind != wire.Number {
			t.Fatalf("got %+v, want a number", got)
		}
	case string:
		if got.Kind != wire.String || got.Text != want {
			t.Fatalf("got %q, want %q", got.Text, want)
		}
	case []any:
		if got.Kind != wire.Array || len(got.List) != len(want) {
			t.Fatalf("got %+v, want %v", got, want)
		}
		for i := range want {
			same(t, got.List[i], want[i])
		}
	case map[string]any:
		if got.Kind != wire.Object || len(got.Members) != len(want) {
			t.Fatalf("got %+v, want %v", got, want)
		}
		for name := range want {
			same(t, got.Member(name), want[name])
		}
	}
}
