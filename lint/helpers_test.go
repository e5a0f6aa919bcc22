package lint_test

import (
	"os"
	"testing"

	"example.com/umpire/bundles"
	"example.com/umpire/engine"
	"example.com/umpire/lint"
	"example.com/umpire/realm"
)

// TestHelpers: rules of every kind, used in every way, end no server. A set that its rules fill
// by `contains` has no value of its own.
func TestHelpers(t *testing.T) {
	t.Parallel()
	spec, _, err := realm.Parse("realm.yaml", []byte(shop), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	names := lint.NamesOf("realm.yaml", spec)
	compiled := 0
	check := func(head, body, helper string) {
		t.Helper()
		text := header + head + " if {\n\t" + body + "\n}\n\n" + helper + "\n"
		b, err := bundles.Parse(map[string]string{"a.rego": text}, bundles.Options{Parser: engine.ParserOptions()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lint.Check(engine.Source{Files: b.Files, Modules: b.Modules}, "data.uma.authz.decision", names); err == nil { // else it does not compile
			compiled++
		}
	}
	for _, helper := range []string{
		`staff contains "admin" if true`, `staff contains "admin" if input.x`, `staff.x contains "admin" if true`, `staff["admin"] := 1`,
		`default staff := "admin"`, "staff := \"admin\" if input.x\nelse := \"auditor\"", `staff if true`, `staff(x) if x in {"admin"}`,
	} {
		for _, body := range []string{
			"some r in input.subject.roles\n\tr in staff", "some r in staff\n\tr in input.subject.roles", "input.client.id == staff",
			"staff[input.subject.roles[_]]", "staff.x[_] == input.subject.roles[_]", "every r in staff { r in input.subject.roles }",
			"some k\n\tinput[k].roles[_] == staff[k]", "staff(input.subject.roles[_])",
		} {
			check(`grant contains "view"`, body, helper)
		}
		for _, head := range []string{`grant contains staff`, `deny contains {"scope": staff}`, `need_info contains {"name": "x", "scopes": staff}`} {
			check(head, "true", helper)
		}
	}
	if compiled < 40 {
		t.Errorf("only %d of the policies compile", compiled)
	}
}
