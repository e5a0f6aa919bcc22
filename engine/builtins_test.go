package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"example.com/umpire/uma"
)

// Every built-in function that a policy may call ends soon after the deadline of the
// evaluation, whatever its arguments are. Otherwise it would occupy its worker: OPA checks
// the deadline between calls, and within few functions.
func TestBuiltinsEndWithTheEvaluation(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	slack := 8 * time.Second * time.Duration(runtime.GOMAXPROCS(0)) // of processors: a busy machine only delays it
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	text := "package lib.hostile\n"
	var functions []*ast.Builtin
	for _, b := range capabilities().Builtins {
		if b.IsDeprecated() || strings.HasPrefix(b.Name, "internal.") || slices.Contains(syntax, b.Name) {
			continue
		}
		args := make([]string, b.Decl.Arity())
		for i := range args {
			args[i] = fmt.Sprintf("input.args[%d]", i)
		}
		if b.Relation {
			text += fmt.Sprintf("r%d contains x if %s(%s, x)\n", len(functions), b.Name, strings.Join(args, ", "))
		} else {
			text += fmt.Sprintf("r%d contains x if x := %s(%s)\n", len(functions), b.Name, strings.Join(args, ", "))
		}
		functions = append(functions, b)
	}
	if len(functions) < 150 {
		t.Fatalf("got %d functions", len(functions))
	}
	p := compiledText(t, text, timeout)
	for i, b := range functions {
		q, err := p.prepare(ast.MustParseRef(fmt.Sprintf("data.lib.hostile.r%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range hostileArguments(b) {
			input := ast.NewObject([2]*ast.Term{ast.StringTerm("args"), ast.ArrayTerm(args...)})
			over := make(chan struct{})
			go func() {
				defer close(over)
				var run evaluation
				_, _ = p.evaluate(context.Background(), q, input, time.Now(), &run) // errors are fine
			}()
			for began, ended := processorTime(t), false; !ended; {
				select {
				case <-over:
					ended = true
				case <-tick.C:
					if processorTime(t)-began > slack {
						t.Fatalf("%s does not end: %.100v", b.Name, fmt.Sprint(args)) // and goes on meanwhile, so that what follows would be late, too
					}
				}
			}
		}
	}
}

// processorTime is the time of processors that this process used.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// syntax are those that are written as operators and keywords.
var syntax = []string{"eq", "assign", "print", "rego.metadata.chain", "rego.metadata.rule"}

// hostileArguments are lists of arguments for a function by the types of its parameters: each
// hostile value in each place, with several others beside it.
func hostileArguments(b *ast.Builtin) [][]*ast.Term {
	parameters := make([][]*ast.Term, b.Decl.Arity())
	rounds := 0
	for i, arg := range b.Decl.FuncArgs().Args {
		parameters[i] = hostile(arg)
		rounds = max(rounds, len(parameters[i]))
	}
	calls := [][]*ast.Term{}
	for _, args := range worst[b.Name] {
		calls = append(calls, terms(args...))
	}
	for shift := range min(3, 1+2*(len(parameters)-1)) {
		for i := range rounds {
			call := make([]*ast.Term, len(parameters))
			for j, values := range parameters {
				call[j] = values[(i+j*(shift+i))%len(values)]
			}
			calls = append(calls, call)
		}
	}
	return calls
}

// worst are arguments with which some functions return long after the deadline, or never.
var worst = map[string][][]any{
	"bits.lsh":                {{json.Number("1"), json.Number("2000000000")}},
	"graph.reachable_paths":   {{everyEdge(14), []any{"v0"}}},
	"json.match_schema":       {{map[string]any{}, map[string]any{"$ref": "#"}}},
	"json.verify_schema":      {{map[string]any{"$ref": "#"}}},
	"net.cidr_expand":         {{"::/0"}},
	"numbers.range":           {{json.Number("0"), json.Number("9000000000000000000")}},
	"product":                 {{slices.Repeat([]any{json.Number("1e29000")}, 1500)}},
	"sum":                     {{slices.Repeat([]any{json.Number("1e29000")}, 1500)}},
	"strings.render_template": {{"{{range .a}}{{range $.a}}{{range $.a}}{{range $.a}}{{.}}{{end}}{{end}}{{end}}{{end}}", map[string]any{"a": repeated(300, "x")}}},
}

func terms(values ...any) []*ast.Term {
	out := make([]*ast.Term, len(values))
	for i, v := range values {
		out[i] = ast.NewTerm(ast.MustInterfaceToValue(v))
	}
	return out
}

// hostile are values of a type; for any, those of all types.
func hostile(arg types.Type) (values []*ast.Term) {
	kind := types.Sprint(arg)
	for _, t := range []struct {
		name   string
		values []any
	}{
		{"null", []any{nil}}, {"boolean", []any{true}}, {"number", hostileNumbers}, {"string", hostileStrings},
		{"array", hostileArrays}, {"set", hostileArrays}, {"object", hostileObjects},
	} {
		if !strings.Contains(kind, t.name) && kind != "any" {
			continue
		}
		for _, v := range terms(t.values...) {
			if array, ok := v.Value.(*ast.Array); ok && t.name == "set" {
				set := ast.NewSet()
				array.Foreach(set.Add)
				v = ast.NewTerm(set)
			}
			values = append(values, v)
		}
	}
	return values
}

var (
	long = strings.Repeat("a", 1000)

	hostileNumbers = []any{
		json.Number("0"), json.Number("-1"), json.Number("2000000000"), json.Number("9000000000000000000"),
		json.Number("1e3000"), json.Number("-1e-3000"), json.Number(strings.Repeat("9", 500)),
	}
	hostileStrings = []any{
		"", long, "(((((a{50}){50}){20})))", "(a*)*(a*)*(a*)*b", strings.Repeat("*a", 50), strings.Repeat("{a,b}", 20),
		"%1000000000d%*d%.1000000000f%s%v", "1e9223372036854775807", "1e1000000000K", "9999999h", strings.Repeat("9", 1000),
		strings.Repeat("[", 1000), billionLaughs(), "0.0.0.0/0", "::/0", strings.Repeat("%41", 500),
		base64.StdEncoding.EncodeToString([]byte(long)), fragments(), `{"a":1e1000000000}`,
	}
	hostileArrays = []any{
		[]any{}, repeated(200, "a"), nested(100), []any{[]any{"0.0.0.0/0"}, "::/0"}, repeated(1000, json.Number("1e29000")),
		repeated(40, map[string]any{"op": "copy", "from": "/a", "path": "/a/-"}), []any{json.Number("9223372036854775807"), "Local"},
		[]any{long, "v0"},
	}
	hostileObjects = []any{
		map[string]any{}, everyEdge(14), map[string]any{"a": repeated(300, "x")}, map[string]any{"a": nested(100)},
		map[string]any{"$ref": "#"}, map[string]any{"kty": "RSA", "alg": "RS256", "n": base64.RawURLEncoding.EncodeToString([]byte(long)), "e": "AQAB"},
	}
)

func repeated(n int, v any) []any { return slices.Repeat([]any{v}, n) }

func nested(depth int) (v any) {
	for range depth {
		v = []any{v}
	}
	return v
}

// everyEdge is a graph with n! paths.
func everyEdge(n int) map[string]any {
	g := make(map[string]any, n)
	var all []any
	for i := range n {
		all = append(all, fmt.Sprint("v", i))
	}
	for _, v := range all {
		g[v.(string)] = all
	}
	return g
}

func billionLaughs() string {
	s := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'z'; c++ {
		s += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.Repeat(fmt.Sprintf("*%c,", c-1), 9))
	}
	return s
}

func fragments() string {
	s := "query { a { ...f0 } }\n"
	for i := range 40 {
		s += fmt.Sprintf("fragment f%d on Query { a { ...f%d ...f%d } }\n", i, i+1, i+1)
	}
	return s + "fragment f40 on Query { a { __typename } }"
}

func compiledText(t *testing.T, text string, timeout time.Duration) *policy {
	t.Helper()
	module, err := ast.ParseModuleWithOpts("a.rego", text, ParserOptions())
	if err != nil {
		t.Fatal(err)
	}
	settings := uma.PolicySettings{Timeout: timeout, Entrypoint: libraryEntrypoint}
	p, err := compile(t.Context(), "photoz", settings, Source{Modules: map[string]*ast.Module{"a.rego": module}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Claims that a client pushes may make OPA panic. That counts as a failed built-in
// function, not as an error of the policy: otherwise a client could cause a 503.
func TestPanicIsAFailedBuiltin(t *testing.T) {
	t.Parallel()
	p := compiledText(t, "package uma.policies.a\n\ngrant contains \"view\" if json.unmarshal(input.claims.pushed.n[0]) == 5\n", time.Minute)
	for n, granted := range map[string]int{"5": 1, "6": 0, "1e9223372036854775807": 0, "1e1000000000": 0} {
		got, err := p.Decide(t.Context(), &uma.Input{
			Resource: &uma.InputResource{Type: "a"}, Scopes: []uma.Scope{"view"}, Claims: uma.InputClaims{Pushed: map[string][]string{"n": {n}}},
		})
		if err != nil || len(got.Output.Granted) != granted || (got.Failed != "") != (len(n) > 1) {
			t.Errorf("%s: got %+v, %v", n, got, err)
		}
	}
	masking := compiledText(t, "package system.log\n\nmask contains \"/input\" if json.unmarshal(input.input.client.id) == 5\n", time.Minute)
	raw, err := masking.Encode(t.Context(), &uma.Event{Input: &uma.Input{Client: uma.InputClient{ID: "1e9223372036854775807"}}})
	if err == nil || !strings.Contains(string(raw), "could not be masked") || strings.Contains(string(raw), "1e9223372036854775807") {
		t.Errorf("got %s, %v, want a stub", raw, err)
	}
}
