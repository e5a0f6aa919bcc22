package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

func TestParseForm(t *testing.T) {
	t.Parallel()
	long, token := strings.Repeat("é", 4000), strings.Repeat("x", 60_000)
	var many strings.Builder
	for i := range 101 {
		fmt.Fprintf(&many, "p%d=&", i)
	}
	tests := []struct {
		name, body string
		want       string // what permission and a are, or the refusal
	}{
		{"empty", "", "[] "},
		{"empty pairs", "&&a=1&", "[] 1"},
		{"encoded", "a=x+y%26z", "[] x y&z"},
		{"raw, as keycloak-js sends it", "permission=JS Album#view,delete&a=urn:ietf:x", "[JS Album#view,delete] urn:ietf:x"},
		{"raw semicolon", "a=x;y", "[] x;y"},
		{"permission repeats", "permission=A&permission=B", "[A B] "},
		{"no value", "a", "[] "},
		{"names have case", "a=1&A=2", "[] 1"},
		{"4000 characters", "a=" + long, "[] " + long},

		{"repeated", "a=1&a=1", "duplicated parameter: a"},
		{"repeated in another spelling", "a=1&%61=2", "duplicated parameter: a"},
		{"bad escape", "a=%zz", "a cannot be read"},
		{"bad escape in a name", "%zz=a", "a parameter's name cannot be read"},
		{"no UTF-8", "a=%ff", "a cannot be read"},
		{"NUL", "a=x%00y", "a cannot be read"},
		{"too long", "a=" + long + "e", "a is too long"},
		{"too long for a token", "ticket=" + token + "x", "ticket is too long"},
		{"many names", many.String(), "too many parameters"},
		{"many permissions", strings.Repeat("permission=A&", 2001), "too many parameters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			form, err := wire.ParseForm(tt.body, "permission")
			got := fmt.Sprint(form.All("permission")) + " " + form.Get("a")
			if err != nil {
				got = refused(t, err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := wire.ParseForm("rpt=" + token); err != nil {
		t.Errorf("an rpt of 60,000 characters: %v", err)
	}
}

// refused returns the description of a refusal of the request.
func refused(t *testing.T, err error) string {
	t.Helper()
	e, ok := errors.AsType[*uma.Error](err)
	if !ok || e.Reason != uma.InvalidRequest {
		t.Fatalf("got error %v, want an invalid_request", err)
	}
	return e.Fault.Detail
}

func TestFormValues(t *testing.T) {
	t.Parallel()
	form, err := wire.ParseForm("e=&t=TRUE&f=false&y=yes&n=12&minus=-1&plus=%2B1&float=1.5&huge=99999999999")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"t": "true true", "f": "false true", "absent": "false false", "e": "e must be true or false", "y": "y must be true or false"} {
		v, present, err := form.Bool(name)
		got := fmt.Sprint(v, present)
		if err != nil {
			got = refused(t, err)
		}
		if got != want {
			t.Errorf("Bool(%s): got %s, want %s", name, got, want)
		}
	}
	const bad = " must be a number of at least 0"
	for name, want := range map[string]string{"n": "12", "absent": "7", "e": "e" + bad, "minus": "minus" + bad, "plus": "plus" + bad, "float": "float" + bad, "huge": "huge" + bad, "y": "y" + bad} {
		n, err := form.Int(name, 0, 7)
		got := fmt.Sprint(n)
		if err != nil {
			got = refused(t, err)
		}
		if got != want {
			t.Errorf("Int(%s): got %s, want %s", name, got, want)
		}
	}
	if _, err := form.Filled("e"); err == nil || refused(t, err) != "e is empty" {
		t.Errorf("Filled(e): got %v", err)
	}
	if v, err := form.Filled("absent"); v != "" || err != nil {
		t.Errorf("Filled(absent): got %q, %v", v, err)
	}
}
