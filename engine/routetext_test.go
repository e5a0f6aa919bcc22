package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"example.com/umpire/uma"
)

const everyMember = `package uma.policies["every member"]

grant contains "*" if count(input.scopes) > number

deny contains "x" if harmless

need_info contains {"name": "x"}

submit contains "x"

reasons contains "x"

obligations contains {"id": "x"}

rpt := {"ttl": 60} if harmless

number := count(input.groups)

harmless if input.scopes == []
`

func routesFor(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	src := Source{Files: files, Modules: map[string]*ast.Module{}}
	for name, text := range files {
		module, err := ast.ParseModuleWithOpts(name, text, ParserOptions())
		if err != nil {
			t.Fatal(err)
		}
		src.Modules[name] = module
	}
	parts, err := Assemble(src)
	if err != nil {
		t.Fatal(err)
	}
	if parts.Compiler.Compile(parts.Modules); parts.Compiler.Failed() {
		t.Fatal(parts.Compiler.Errors)
	}
	texts := make(map[string]string)
	for name, text := range parts.Generated {
		key, _ := routeKey(name)
		texts[key] = text
	}
	return texts
}

// What is generated is as opa fmt would write it, compiles strictly, and names only what a
// package has.
func TestRouteText(t *testing.T) { // not parallel: OPA's formatter writes to terms that its compiler shares
	files := map[string]string{
		"a.rego": everyMember, "b.rego": "package uma.policies.nothing\n", "g.rego": "package uma.guardrails\n\ndeny contains \"x\" if input.scopes == [\"x\"]\n",
	}
	paths, err := filepath.Glob("../examples/*/policies/*.rego")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(path); !strings.HasSuffix(name, "_test.rego") && name != "guardrails.rego" {
			files[name] = string(content)
		}
	}
	texts := routesFor(t, files)
	if len(texts) < 8 {
		t.Errorf("got %d modules", len(texts))
	}
	for key, text := range texts {
		formatted, err := format.SourceWithOpts(key, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Error(err)
		}
		if string(formatted) != text {
			t.Errorf("%s: got\n%s\nwant\n%s", key, text, formatted)
		}
	}
	if text := texts["nothing"]; text == "" || strings.Count(text, "policies.nothing") > 1 {
		t.Errorf("it names what the package does not have:\n%s", text)
	}
	for part, want := range map[string]bool{`["every member"].number`: true, `["every member"].harmless`: false, `guardrails.deny == set()`: true, `guardrails.need_info`: false} {
		if strings.Contains(texts["every member"], part) != want {
			t.Errorf("%s: want %v in\n%s", part, want, texts["every member"])
		}
	}
}

// Modules are generated only where it is known at activation what the router would read.
func TestNotRouted(t *testing.T) {
	t.Parallel()
	team := "package uma.policies.album\n\ngrant contains \"view\"\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a team":                       {map[string]string{"a.rego": team}, "album default"},
		"a rule that is no set":        {map[string]string{"a.rego": team, "b.rego": "package uma.policies.board\n\ndeny := \"frozen\"\n"}, "album default"},
		"a package as a member":        {map[string]string{"a.rego": team, "b.rego": "package uma.policies.board.deny\n\nx := 1\n"}, "album default"},
		"aliases by rules":             {map[string]string{"a.rego": team, "f.rego": "package uma.facts\n\ntype_alias[\"b\"] := \"album\"\n"}, ""},
		"other facts by rules":         {map[string]string{"a.rego": team, "f.rego": "package uma.facts\n\nlisted := 1\n"}, "album default"},
		"a rule that reads all":        {map[string]string{"a.rego": team, "l.rego": "package lib.own\n\nx := object.get(data.uma, [input.x], 1)\n"}, ""},
		"a rule that reads any":        {map[string]string{"a.rego": team, "l.rego": "package lib.own\n\nx := data.uma[input.x].y\n"}, ""},
		"a rule that reads the router": {map[string]string{"a.rego": team, "l.rego": "package lib.own\n\nx := data.uma.authz.team\n"}, ""},
	} {
		if got := strings.Join(sortedKeys(routesFor(t, c.files)), " "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A generated module has the rules that the generator writes, and no others.
func TestRouteRefused(t *testing.T) {
	t.Parallel()
	const good = "package uma.routed\n\ndecision := 1 if input.x\n\nteam := 2 if input.x\n"
	for text, want := range map[string]bool{
		good: true, good + "\nothers contains \"x\" if input.y\n\nothers contains \"z\" if input.y\n\nrpt := {}\n": true,
		good + "\nq if true\n": false, good + "\ndecision := 2 if input.y\n": false, good + "\nteam.x := 2\n": false, good + "\n}": false,
		"package uma.routed\n\nteam := 2 if input.x\n":                          false,
		"package uma.authz\n\ndecision := 1 if input.x\n\nteam := 2\n":          false,
		"package uma.routed\n\nimport data.lib\n\ndecision := 1\n\nteam := 2\n": false,
	} {
		if _, err := parseRoute("a.rego", text, ParserOptions()); (err == nil) != want {
			t.Errorf("got %v for\n%s", err, text)
		}
	}
}

// Above a number of team packages none has a module, and none is examined by itself: an
// activation must not take minutes. Up to it, what all have in common is read once.
func TestManyTeams(t *testing.T) {
	t.Parallel()
	for n, routed := range map[int]bool{maxTeams - 1: true, maxTeams: false} { // and default
		src := manyTeams(t, n)
		p, err := compile(t.Context(), "r", uma.PolicySettings{Timeout: time.Second, Entrypoint: libraryEntrypoint}, src, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := Assemble(src)
		if err != nil || (len(parts.Generated) > 0) != routed {
			t.Errorf("%d: got %d modules, %v", n, len(parts.Generated), err)
		}
		f, err := functionsOf(t.Context(), p)
		if err != nil || (f.all == nil) != routed || routed && len(f.teams) != n+1 {
			t.Errorf("%d: got %+v, %v", n, f, err)
		}
	}
	p, err := compile(t.Context(), "r", uma.PolicySettings{Timeout: time.Second, Entrypoint: libraryEntrypoint}, manyTeams(t, 50), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	common := newReader(p.compiler)
	common.byTeam = true
	common.read(p.decision.body)
	r := common.next()
	r.data([]string{"uma", "policies", "t7"})
	if len(common.seen) < 100 || len(r.seen) > 0 {
		t.Errorf("read %d rules once, and %d again", len(common.seen), len(r.seen))
	}
}

// manyTeams is a policy of n team packages, all of which a guardrail reads.
func manyTeams(t testing.TB, n int) Source {
	t.Helper()
	files := map[string]string{"g.rego": "package uma.guardrails\n\ndeny contains \"x\" if \"x\" in data.uma.policies[input.subject.id].grant\n"}
	for i := range n {
		files[fmt.Sprintf("t%d.rego", i)] = fmt.Sprintf("package uma.policies.t%d\n\ngrant contains \"view\" if a\n\na if input.subject.username == \"u%d\"\n", i, i)
	}
	src := Source{Files: files, Modules: map[string]*ast.Module{}}
	for name, text := range files {
		module, err := ast.ParseModuleWithOpts(name, text, ParserOptions())
		if err != nil {
			t.Fatal(err)
		}
		src.Modules[name] = module
	}
	return src
}

// BenchmarkManyTeams activates many team packages, with and without the shipped router.
func BenchmarkManyTeams(b *testing.B) {
	for _, n := range []int{maxTeams - 1, 2000} {
		for _, form := range []string{"routed", "plain"} {
			src := manyTeams(b, n)
			if form == "plain" {
				var err error
				if src.Library, err = librarySources(); err != nil {
					b.Fatal(err)
				}
				src.Library[libraryPrefix+"authz.rego"] += "\n# another one\n"
			}
			b.Run(fmt.Sprintf("%d/%s", n, form), func(b *testing.B) {
				e := New(Config{Memo: 1})
				for b.Loop() {
					if _, err := e.Activate(b.Context(), "r", uma.PolicySettings{Timeout: time.Second, Entrypoint: libraryEntrypoint}, src); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
