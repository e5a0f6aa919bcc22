package pingam

import "testing"

func TestPolicyFilter(t *testing.T) {
	t.Parallel()
	good := map[string]policyFilter{
		`true`:                                {},
		` true `:                              {},
		`resourceServer eq "photoz-api"`:      {server: "photoz-api"},
		`/resourceServer eq "photoz-api"`:     {server: "photoz-api"},
		`permissions/subject eq "bob"`:        {subject: "bob"},
		`/permissions/subject  eq   "b\"o\\"`: {subject: `b"o\`},
		`resourceServer eq "a b" and permissions/subject eq "bob"`: {server: "a b", subject: "bob"},
		`permissions/subject eq "bob" AND resourceServer eq "a"`:   {server: "a", subject: "bob"},
		`permissions/subject eq "and resourceServer eq"`:           {subject: "and resourceServer eq"},
	}
	for text, want := range good {
		if got, err := parsePolicyFilter(text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	// An empty value would narrow to nothing or to everything, who knows.
	bad := []string{
		``, ` `, `false`, `TRUE`, `true and true`, `true and resourceServer eq "a"`, `name eq "a"`, `resourceServer co "a"`,
		`resourceServer eq a`, `resourceServer eq 'a'`, `resourceServer eq ""`, `resourceServer eq "a`, `resourceServer eq "a\"`,
		`resourceServer eq "a" and`, `resourceServer eq "a" or permissions/subject eq "b"`, `resourceServer eq "a" and resourceServer eq "b"`,
		`(resourceServer eq "a")`, `!(resourceServer eq "a")`, `resourceServer pr`, `resourceServer eq "\u00zz"`, `resourceServer eq "a" "b"`,
		`resourceServer`, `and`, `"a" eq resourceServer`, `//resourceServer eq "a"`,
	}
	for _, text := range bad {
		if got, err := parsePolicyFilter(text); err == nil {
			t.Errorf("%s: got %+v, want an error", text, got)
		}
	}
}
