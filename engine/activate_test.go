package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/engine"
	"example.com/umpire/uma"
)

// labelled is a policy file whose rule has labels.
func labelled(labels string) string {
	return "package uma.policies.a\n\n# METADATA\n# labels: {" + labels + "}\ngrant contains \"view\" if input.x\n"
}

// A realm's policy is refused for each of these mistakes. Without the check it would compile
// or fail too late.
func TestActivateRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string // in the error
	}{
		"the router replaced":       {map[string]string{"a.rego": "package uma.authz\n\ngrant := true\n"}, "a.rego:1: package uma.authz"},
		"a package below it":        {map[string]string{"a.rego": "package uma.authz.more\n"}, "a.rego:1:"},
		"sharing replaced":          {map[string]string{"a.rego": "package uma.sharing\n\ngrant contains \"*\"\n"}, "a.rego:1:"},
		"all teams at once":         {map[string]string{"a.rego": "package uma.policies\n\nboard := {\"grant\": {\"*\"}}\n"}, "a.rego:1:"},
		"the list of teams":         {map[string]string{"a.rego": "package uma.teams\n"}, "a.rego:1:"},
		"uma as a whole":            {map[string]string{"a.rego": "package uma\n\nauthz.decision := {}\n"}, "a.rego:1:"},
		"a foreign package":         {map[string]string{"a.rego": "package other\n"}, "a.rego:1:"},
		"system itself":             {map[string]string{"a.rego": "package system.authz\n"}, "a.rego:1:"},
		"deny if":                   {map[string]string{"a.rego": "package uma.policies.a\n\ndeny if input.x\n"}, "a.rego:3: deny is a set"},
		"deny as text":              {map[string]string{"a.rego": "package uma.guardrails\n\ndeny := \"no\"\n"}, "a.rego:3: deny is a set"},
		"deny by key":               {map[string]string{"a.rego": "package uma.policies.a\n\ndeny[\"x\"] := true\n"}, "a.rego:3: deny is a set"},
		"deny below":                {map[string]string{"a.rego": "package uma.policies.a\n\ndeny.all contains \"x\"\n"}, "a.rego:3: deny is a set"},
		"deny as a function":        {map[string]string{"a.rego": "package uma.policies.a\n\ndeny(x) := x\n"}, "a.rego:3: deny is a set"},
		"deny with a default":       {map[string]string{"a.rego": "package uma.policies.a\n\ndefault deny := false\n"}, "a.rego:3: deny is a set"},
		"deny as a package":         {map[string]string{"a.rego": "package uma.policies.a.deny\n\nx := 1\n"}, "a.rego:1: "},
		"grant := true":             {map[string]string{"a.rego": "package uma.policies.a\n\ngrant := true\n"}, "a.rego:3: grant is a set"},
		"need_info if":              {map[string]string{"a.rego": "package uma.guardrails\n\nneed_info if true\n"}, "a.rego:3: need_info is a set"},
		"submit if":                 {map[string]string{"a.rego": "package uma.policies.a\n\nsubmit if true\n"}, "a.rego:3: submit is a set"},
		"reasons as text":           {map[string]string{"a.rego": "package uma.policies.a\n\nreasons := \"x\"\n"}, "a.rego:3: reasons is a set"},
		"obligations as a list":     {map[string]string{"a.rego": "package uma.policies.a\n\nobligations := [1]\n"}, "a.rego:3: obligations is a set"},
		"a label with a NUL":        {map[string]string{"a.rego": labelled(`rule: "a\0b"`)}, "a.rego:3: the label rule has"},
		"a team in disguise":        {map[string]string{"a.rego": labelled("rule: a, team: \"a\u202eb\"")}, "a.rego:3: the label team has"},
		"a label of a package":      {map[string]string{"a.rego": "# METADATA\n# scope: subpackages\n# labels: {team: \"a\\x1bb\"}\npackage uma.policies.a\n"}, "a.rego:1: the label team has"},
		"rpt as a set":              {map[string]string{"a.rego": "package uma.policies.a\n\nrpt contains 1\n"}, "a.rego:3: rpt is an object"},
		"a quoted name":             {map[string]string{"a.rego": "package uma[\"authz\"]\n"}, "a.rego:1:"},
		"http.send":                 {map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains \"x\" if http.send({\"method\": \"get\", \"url\": \"http://x\"}).body\n"}, "a.rego:3: http.send is not available in Umpire: a decision depends on the input and the policy alone"},
		"net.lookup_ip_addr":        {map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains \"x\" if net.lookup_ip_addr(\"x\")\n"}, "net.lookup_ip_addr is not available in Umpire"},
		"opa.runtime":               {map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains opa.runtime().env.HOME\n"}, "opa.runtime is not available in Umpire"},
		"bits.lsh":                  {map[string]string{"a.rego": "package lib.a\n\nx := bits.lsh(1, 2)\n"}, "a.rego:3: bits.lsh is not available in Umpire: it cannot be interrupted"},
		"rego.parse_module":         {map[string]string{"a.rego": "package lib.a\n\nx := rego.parse_module(\"a\", \"b\")\n"}, "rego.parse_module is not available in Umpire"},
		"the network by a built-in": {map[string]string{"a.rego": "package lib.a\n\nx(f) := f\n\ny if {\n\tinput.x with http.send as x\n}\n"}, "a.rego:6: rego_type_error: with keyword target"},
		"unused import":             {map[string]string{"a.rego": "package lib.a\n\nimport data.lib.b\n"}, "a.rego:3:"},
		"unused variable":           {map[string]string{"a.rego": "package lib.a\n\nx if y := 1\n"}, "a.rego:3:"},
		"recursion":                 {map[string]string{"a.rego": "package lib.a\n\nx if y\n\ny if x\n"}, "recursive"},
		"recursion by the router":   {map[string]string{"a.rego": "package uma.policies.a\n\nimport data.uma.authz\n\ngrant contains \"x\" if authz.decision\n"}, "recursive"},
		"a misspelt member":         {map[string]string{"a.rego": "# METADATA\n# schemas:\n#   - input: schema[\"input-v1\"]\npackage uma.policies.a\n\ngrant contains \"x\" if input.subject.role\n"}, "a.rego:6:"},
		"an unknown schema":         {map[string]string{"a.rego": "# METADATA\n# schemas:\n#   - input: schema[\"input-v9\"]\npackage uma.policies.a\n\ngrant contains \"x\" if input.subject.roles\n"}, "a.rego"},
		"data at a foreign root":    {map[string]string{"data.json": `{"other": 1}`}, "data.json: data.other"},
		"data in the library":       {map[string]string{"data.json": `{"uma": {"authz": {"x": 1}}}`}, "data.json: data.uma.authz"},
		"data as teams":             {map[string]string{"data.json": `{"uma": {"teams": {"a": true}}}`}, "data.json: data.uma.teams"},
		"data in place of roots":    {map[string]string{"data.json": `{"uma": 1}`}, "data.json: data.uma"},
		"data in place of rules":    {map[string]string{"data.json": `{"uma": {"policies": {"a": {"grant": ["*"]}}}}`}, "data.uma.policies.a.grant"},
		"data as a guardrail":       {map[string]string{"data.json": `{"uma": {"guardrails": {"deny": []}}}`}, "data.uma.guardrails.deny"},
		"data where a rule is":      {map[string]string{"data.json": `{"lib": {"a": {"x": 1}}}`, "a.rego": "package lib.a\n\nx := 2\n"}, "conflict"},
		"data said twice":           {map[string]string{"data.json": `{"lib": {"a": 1}}`, "b/data.json": `{"lib": {"a": 2}}`}, "data.json: data.lib.a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engine.New(engine.Config{Now: time.Now})
			_, err := e.Activate(t.Context(), "photoz", settings, source(t, c.files))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one with %q", err, c.want)
			}
			if _, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz"}); err == nil {
				t.Error("is in force all the same")
			}
		})
	}
}

// Mistakes are shown as OPA shows them, under the path of the folder.
func TestMistakesAreLocated(t *testing.T) {
	t.Parallel()
	src := source(t, map[string]string{
		"deep/a.rego": "# METADATA\n# schemas:\n#   - input: schema[\"input-v1\"]\npackage uma.policies.a\n\ngrant contains \"x\" if input.subject.role\n",
		"b.rego":      "package uma.authz\n",
		"data.json":   `{"x": 1}`,
	})
	src.Folder = "../photoz/policies"
	_, err := engine.New(engine.Config{}).Check(t.Context(), "photoz", settings, src)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{
		"../photoz/policies/deep/a.rego:6: rego_type_error: undefined ref: input.subject.role\n\tinput.subject.role\n\t              ^\n\t              have: \"role\"\n\t              want (one of): [",
		"../photoz/policies/b.rego:1: package uma.authz: ", "../photoz/policies/data.json: data.x: ",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	twice := source(t, map[string]string{"c.rego": "package lib.c\n\ndefault x := 1\n", "d.rego": "package lib.c\n\ndefault x := 2\n"})
	twice.Folder = "policies"
	_, err = engine.New(engine.Config{}).Check(t.Context(), "photoz", settings, twice)
	if want := "found at policies/c.rego:3, policies/d.rego:3"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("no %q in\n%v", want, err)
	}
}

// All mistakes of all files are reported together.
func TestActivateReportsAll(t *testing.T) {
	t.Parallel()
	_, err := engine.New(engine.Config{Now: time.Now}).Activate(t.Context(), "photoz", settings, source(t, map[string]string{
		"a.rego":    "package uma.authz\n",
		"b.rego":    "package uma.policies.b\n\ndeny if true\n\ngrant := 1\n",
		"c.rego":    "package uma.policies.c\n\ngrant contains net.lookup_ip_addr(\"x\")\n\nsubmit contains http.send({})\n",
		"data.json": `{"x": 1, "y": 2}`,
	}))
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"a.rego:1:", "b.rego:3:", "b.rego:5:", "c.rego:3:", "c.rego:5:", "data.x", "data.y"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestActivateAllows(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"nothing":                {},
		"every root":             {"a.rego": "package uma.policies.a\n", "b.rego": "package uma.guardrails\n", "c.rego": "package uma.facts\n", "d.rego": "package system.log\n", "e.rego": "package lib.e\n", "f.rego": "package lib\n"},
		"a type that is a URI":   {"a.rego": "package uma.policies[\"https://example.com/t\"]\n\ngrant contains \"x\"\n"},
		"helpers of a team":      {"a.rego": "package uma.policies.a.helpers\n\nx := 1\n"},
		"more of the default":    {"a.rego": "package uma.policies.default\n\ngrant contains \"x\" if input.subject.id == \"y\"\n"},
		"metadata of guardrails": {"a.rego": "# METADATA\n# title: ours\npackage uma.guardrails\n\ndeny contains \"x\" if input.kind == \"y\"\n"},
		"data of every root":     {"data.json": `{"uma": {"facts": {"type_alias": {}}, "policies": {"a": {"limits": {"grant": 1}}}, "guardrails": {"hours": [8, 18]}}, "lib": {"x": 1}, "system": {"log": {"mask": []}}}`},
		"addresses":              {"a.rego": "package uma.policies.a\n\ngrant contains \"x\" if net.cidr_contains(\"192.0.2.0/24\", input.context.ip)\n"},
		"a computed alias":       {"a.rego": "package uma.facts\n\ntype_alias[t] := \"a\" if some t in [\"b\", \"c\"]\n"},
		"rpt by member":          {"a.rego": "package uma.policies.a\n\nrpt.ttl := 60\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engine.New(engine.Config{Now: time.Now})
			if _, err := e.Activate(t.Context(), "photoz", settings, source(t, files)); err != nil {
				t.Fatal(err)
			}
			got, err := prepare(t, e).Decide(t.Context(), input(of("none", "view")))
			if err != nil || len(got.Output.Granted) != 0 {
				t.Errorf("got %+v, %v", got.Output, err)
			}
		})
	}
}

func TestActivateSettings(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]uma.PolicySettings{
		"no timeout":         {Entrypoint: settings.Entrypoint},
		"no entrypoint":      {Timeout: time.Second},
		"no reference":       {Timeout: time.Second, Entrypoint: "data.uma[x].y"},
		"not of data":        {Timeout: time.Second, Entrypoint: "input.uma.authz.decision"},
		"no such entrypoint": {Timeout: time.Second, Entrypoint: "data.uma.authz.decisions"},
		"a package":          {Timeout: time.Second, Entrypoint: "data.uma.authz"},
		"all of data":        {Timeout: time.Second, Entrypoint: "data"},
		"a function":         {Timeout: time.Second, Entrypoint: "data.uma.authz.covers"},
	} {
		if _, err := engine.New(engine.Config{}).Activate(t.Context(), "photoz", s, source(t, nil)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestBadPolicyLeavesTheOldInForce(t *testing.T) {
	t.Parallel()
	e, before := newEngine(t, photoz(t))
	if _, err := e.Activate(t.Context(), "photoz", settings, source(t, map[string]string{"a.rego": "package uma.authz\n"})); err == nil {
		t.Fatal("got no error")
	}
	if got, want := prepare(t, e).Revision(), before.Revision(); got != want {
		t.Errorf("got revision %s, want %s", got, want)
	}
}

func TestRealmsHaveTheirOwn(t *testing.T) {
	t.Parallel()
	e, _ := newEngine(t, photoz(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Prepare(ctx, &uma.Realm{Name: "photoz"}); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: got %v, want %v", err, context.Canceled)
	}
	if _, err := e.Prepare(t.Context(), &uma.Realm{Name: "other"}); err == nil {
		t.Error("a realm without a policy has one")
	}
	if _, err := e.Activate(t.Context(), "other", settings, source(t, nil)); err != nil {
		t.Fatal(err)
	}
	got, err := prepare(t, e).Decide(t.Context(), input(of("board", "view")))
	if err != nil || len(got.Output.Granted) != 1 {
		t.Errorf("got %+v, %v", got.Output, err)
	}
}

func TestRevision(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{Now: func() time.Time { return time.Unix(1, 0) }})
	activate := func(files map[string]string) *uma.Revision {
		t.Helper()
		r, err := e.Activate(t.Context(), "photoz", settings, source(t, files))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	files := map[string]string{"a.rego": "package uma.policies.a\n", "b.rego": "package uma.policies.b\n"}
	got := activate(files)
	if got.Hash != prepare(t, e).Revision() || len(got.Hash) != 64 || got.Realm != "photoz" || !got.Since.Equal(time.Unix(1, 0)) {
		t.Errorf("got %+v", got)
	}
	if got.Sources["a.rego"] != files["a.rego"] || got.Sources["/umpire/authz.rego"] == "" || got.Sources["/umpire/schemas/input-v1.json"] == "" {
		t.Error("sources are missing")
	}
	if again := activate(files); again.Hash != got.Hash {
		t.Error("the same files have another hash")
	}
	swapped := activate(map[string]string{"a.rego": files["b.rego"], "b.rego": files["a.rego"]})
	moved := activate(map[string]string{"aa.rego": files["a.rego"], "b.rego": files["b.rego"]})
	if swapped.Hash == got.Hash || moved.Hash == got.Hash {
		t.Error("other files have the same hash")
	}
}

func TestRevisionCoversTheEntrypoint(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Config{})
	files := photoz(t)
	files["own.rego"] = "package lib.own\n\nimport data.uma.authz\n\ndecision := authz.decision\n"
	one, err := e.Check(t.Context(), "photoz", settings, source(t, files))
	if err != nil {
		t.Fatal(err)
	}
	other, err := e.Check(t.Context(), "photoz", uma.PolicySettings{Timeout: time.Second, Entrypoint: "data.lib.own.decision"}, source(t, files))
	if err != nil {
		t.Fatal(err)
	}
	if one.Hash == other.Hash {
		t.Error("two entry points, one revision")
	}
}

// A changed deadline holds without a new activation.
func TestDeadlineOfTheRealmAsItIs(t *testing.T) {
	t.Parallel()
	e, _ := newEngine(t, map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains \"view\" if {\n\tsome x in numbers.range(1, 100000000)\n\tx < 0\n}\n"})
	evaluator, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz", Policy: uma.PolicySettings{Timeout: time.Nanosecond}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := evaluator.Decide(t.Context(), input(of("a", "view")))
	if err == nil || got.Took > settings.Timeout/2 {
		t.Errorf("took %v, %v", got.Took, err)
	}
}

// Every decision of a request is made by one revision, and none is lost, while
// policies are replaced.
func TestActivateUnderLoad(t *testing.T) {
	t.Parallel()
	team := func(scope string) map[string]string {
		return map[string]string{"a.rego": fmt.Sprintf("package uma.policies.a\n\ngrant contains %q\n", scope)}
	}
	e, _ := newEngine(t, team("view"))
	want := map[string]uma.Scope{prepare(t, e).Revision(): "view"}
	r, err := e.Check(t.Context(), "photoz", settings, source(t, team("delete")))
	if err != nil {
		t.Fatal(err)
	}
	want[r.Hash] = "delete"

	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for !stop.Load() {
				evaluator, err := e.Prepare(t.Context(), &uma.Realm{Name: "photoz"})
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					got, err := evaluator.Decide(context.Background(), input(of("a", "view", "delete")))
					if err != nil || !slices.Equal(got.Output.Granted, []uma.Scope{want[evaluator.Revision()]}) {
						t.Errorf("got %+v, %v by revision %s", got.Output, err, evaluator.Revision())
						return
					}
				}
			}
		})
	}
	for i := range 20 {
		if _, err := e.Activate(t.Context(), "photoz", settings, source(t, team([]string{"delete", "view"}[i%2]))); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	readers.Wait()
}

// A schema that a policy names by URL is not fetched.
func TestNoNetworkBySchema(t *testing.T) {
	t.Parallel()
	var fetched atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Store(true)
		fmt.Fprint(w, `{"type": "object"}`)
	}))
	t.Cleanup(server.Close)
	for _, builtin := range []string{`json.verify_schema({"$ref": "` + server.URL + `/s.json"})[0]`} {
		_, evaluator := newEngine(t, map[string]string{"a.rego": "package uma.policies.a\n\ngrant contains \"view\" if " + builtin + "\n"})
		got, err := evaluator.Decide(t.Context(), input(of("a", "view")))
		if err != nil || len(got.Output.Granted) != 0 {
			t.Errorf("%s: got %+v, %v", builtin, got.Output, err)
		}
	}
	if fetched.Load() {
		t.Error("the policy reached out")
	}
}

func TestEntrypointOfOnesOwn(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.rego": `package lib.mine

decision := {"granted": ["view"], "need_info": [], "submit": [], "reasons": [], "obligations": [], "rpt": {}}
`}
	e := engine.New(engine.Config{})
	own := uma.PolicySettings{Timeout: time.Second, Entrypoint: "data.lib.mine.decision"}
	if _, err := e.Activate(t.Context(), "photoz", own, source(t, files)); err != nil {
		t.Fatal(err)
	}
	got, err := prepare(t, e).Decide(t.Context(), input(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !got.Output.SharesUnknown || !slices.Equal(got.Output.Granted, []uma.Scope{"view"}) {
		t.Errorf("got %+v", got.Output)
	}
}

// A file with the name of one of the library's would take its place: a bundle may have the
// entry /umpire/sharing.rego.
func TestFilesOfTheLibrary(t *testing.T) {
	t.Parallel()
	const grantsAll = "package uma.guardrails\n\nx := 1\n"
	for _, name := range []string{"/umpire/sharing.rego", "umpire/sharing.rego", "/album.rego", "../album.rego", "/umpire/schemas/input-v1.json"} {
		src := source(t, map[string]string{"lib.rego": "package lib\n"})
		src.Files[name] = grantsAll
		if strings.HasSuffix(name, ".rego") {
			src.Modules[name] = ast.MustParseModuleWithOpts(grantsAll, engine.ParserOptions())
		}
		_, err := engine.New(engine.Config{}).Check(t.Context(), "r", settings, src)
		if err == nil || !strings.Contains(err.Error(), name+": a realm's files have relative paths, and the folder umpire is that of the shipped library") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
