package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/version"

	"example.com/umpire/place"
	"example.com/umpire/uma"
)

// A policy is one compiled revision of one realm's policy. It never changes. It has a store
// of its own, which all evaluations read in one transaction.
type policy struct {
	realm    string
	hash     string
	sources  map[string]string
	beside   map[string]string
	timeout  time.Duration
	names    map[string]*ast.Term // see inputNames
	now      func() time.Time
	compiler *ast.Compiler
	store    storage.Store
	txn      storage.Transaction
	decision query
	mask     *query // nil if the realm does not mask
	labels   bool   // whether any rule has labels

	// deciders are the rules that may decide a scope. nil if the realm has its own entry
	// point, because how that uses the rules is unknown.
	deciders []decider
	places   bool // decisions have the places of the rules that made them

	// The memo that keeps answers, and the number of the policy there; nil: none are kept.
	// functions says of which decisions. It is nil if nobody asks for that.
	memo      *memo
	number    uint64
	functions *functions
}

// A query evaluates to one document.
type query struct {
	body     ast.Body
	compiler ast.QueryCompiler
}

// answer is the variable that a query binds.
const answer = ast.Var("answer")

// maskRef is the document that OPA reads the masks of a decision log from.
const maskRef = "data.system.log.mask"

// compile returns a policy that decides.
func compile(ctx context.Context, realm string, settings uma.PolicySettings, src Source, now func() time.Time) (*policy, error) {
	p, err := compilePlain(ctx, realm, settings, src, now)
	if err != nil {
		return nil, err
	}
	if p.labels = p.compiler.GetAnnotationSet().HasLabels(); p.labels {
		mergeLabels(p.compiler)
		p.note(settings, func(label, set string) bool { return label != "" || set == "deny" })
	}
	return p, nil
}

// note makes rules of the contract note what they decide: those of a set whose label is
// wanted.
func (p *policy) note(settings uma.PolicySettings, wanted func(label, set string) bool) {
	if settings.Entrypoint == libraryEntrypoint {
		p.deciders = noteDeciders(p.compiler, wanted)
	}
}

// compilePlain returns a policy whose rules are as OPA compiled them, with their
// annotations.
func compilePlain(ctx context.Context, realm string, settings uma.PolicySettings, src Source, now func() time.Time) (*policy, error) {
	if settings.Timeout <= 0 {
		return nil, errors.New("policy.timeout must be positive")
	}
	entrypoint, err := entrypointRef(settings.Entrypoint)
	if err != nil {
		return nil, err
	}
	mistakes := src.located(append(checkModules(src.Modules), checkData(src.Data)...))
	parts, err := Assemble(src)
	if err != nil {
		return nil, errors.Join(append(mistakes, err)...)
	}
	p := &policy{realm: realm, beside: src.Beside, timeout: settings.Timeout, now: now}
	if p.sources, err = src.library(); err != nil {
		return nil, err
	}
	maps.Copy(p.sources, src.Files)
	if p.names, err = inputNames(); err != nil {
		return nil, err
	}
	p.hash = revisionOf(p.sources, settings.Entrypoint)
	p.store = inmem.NewFromObjectWithOpts(parts.Data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	if p.txn, err = p.store.NewTransaction(ctx); err != nil {
		return nil, fmt.Errorf("open policy data: %w", err)
	}
	p.compiler = parts.Compiler.WithPathConflictsCheck(storage.NonEmpty(ctx, p.store, p.txn))
	p.compiler.Compile(parts.Modules)
	mistakes = append(mistakes, src.located(CompilerErrors(p.compiler.Errors))...)
	if len(mistakes) > 0 {
		return nil, errors.Join(mistakes...)
	}
	if len(p.compiler.GetRulesExact(entrypoint)) == 0 {
		return nil, fmt.Errorf("policy.entrypoint %s: there is no such rule", settings.Entrypoint)
	}
	if p.decision, err = p.prepare(entrypoint); err != nil {
		return nil, err
	}
	ref := ast.MustParseRef(maskRef)
	if _, err := storage.ReadOne(ctx, p.store, storage.Path{"system", "log", "mask"}); err == nil || len(p.compiler.GetRulesWithPrefix(ref)) > 0 {
		mask, err := p.prepare(ref)
		if err != nil {
			return nil, err
		}
		p.mask = &mask
	}
	return p, nil
}

// mergeLabels merges the labels of each rule's chain of annotations into the rule, and
// empties the compiler's set of annotations. With that set, OPA would merge them in each
// evaluation for every rule that held, which takes a tenth of its time.
func mergeLabels(c *ast.Compiler) {
	set := c.GetAnnotationSet()
	for _, module := range c.Modules {
		ast.WalkRules(module, func(rule *ast.Rule) bool {
			labels, _ := set.MergedLabels(rule)
			rule.Annotations = []*ast.Annotations{{Labels: labels}}
			return false
		})
	}
	*set = ast.AnnotationSet{}
}

// Parts are what a realm's policy is compiled of.
type Parts struct {
	Compiler *ast.Compiler          // strict, without network, with the schemas of the contract
	Modules  map[string]*ast.Module // the library's, the realm's, and those that are generated
	Data     map[string]any

	Generated map[string]string // the texts of those that are generated, see routes
}

// Assemble joins the library and a realm's files. It checks that no file has the name of one
// of the library's, and that no two data files define the same path.
func Assemble(src Source) (*Parts, error) {
	if mistakes := checkNames(src); len(mistakes) > 0 {
		return nil, errors.Join(src.located(mistakes)...)
	}
	library, err := src.library()
	if err != nil {
		return nil, err
	}
	modules, err := parseLibrary(library)
	if err != nil {
		return nil, err
	}
	maps.Copy(modules, withoutRoutes(src.Modules))
	data, err := mergeData(src.Data)
	if err != nil {
		return nil, errors.Join(src.located([]error{err})...)
	}
	below, ok := data["uma"].(map[string]any)
	if !ok {
		below = make(map[string]any)
		data["uma"] = below
	}
	below["teams"] = teamNames(modules)
	generated, routed, err := routes(library, modules, data)
	if err != nil {
		return nil, err
	}
	maps.Copy(modules, routed)
	compiler, err := newCompiler(library)
	if err != nil {
		return nil, err
	}
	return &Parts{Compiler: compiler, Modules: modules, Data: data, Generated: generated}, nil
}

// newCompiler returns a compiler with the schemas of the library.
func newCompiler(library map[string]string) (*ast.Compiler, error) {
	schemas := ast.NewSchemaSet()
	for _, name := range []string{"input-v1", "output-v1"} {
		var schema any
		if err := json.Unmarshal([]byte(library[libraryPrefix+"schemas/"+name+".json"]), &schema); err != nil {
			return nil, fmt.Errorf("read schema %s: %w", name, err)
		}
		schemas.Put(ast.SchemaRootRef.Append(ast.StringTerm(name)), schema)
	}
	return ast.NewCompiler().
		WithCapabilities(capabilities()).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).
		WithStrict(true).
		SetErrorLimit(0), nil
}

// outside are functions that read more than input and policy, besides those of the
// network. A decision must depend on these two alone, so that a recorded decision can be
// repeated.
var outside = []string{"http.send", "opa.runtime", "rego.parse_module"}

// readsOutside reports whether a built-in function reads more than input and policy.
func readsOutside(name string) bool {
	return strings.HasPrefix(name, "net.lookup") || strings.HasPrefix(name, "providers.aws.") ||
		slices.Contains(outside, name)
}

// endless are functions whose time or memory is not bounded by the size of their
// arguments, and that do not check the evaluation's deadline. Called with claims of a
// client, they could occupy a CPU for minutes. In json.match_schema, a schema that refers
// to itself overflows the stack, which ends the process.
var endless = []string{
	"bits.lsh", "graph.reachable_paths", "json.match_schema", "product", "strings.render_template",
}

// capabilities are OPA's without the functions that a policy must not call.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		return readsOutside(b.Name) || slices.Contains(endless, b.Name)
	})
	// nil would allow $ref in schemas to load from every host.
	c.AllowNet = []string{}
	return c
}

func entrypointRef(entrypoint string) (ast.Ref, error) {
	ref, err := ast.ParseRef(entrypoint)
	if err != nil || !ref.HasPrefix(ast.DefaultRootRef) || len(ref) < 3 || !ref.IsGround() {
		return nil, fmt.Errorf("policy.entrypoint %q is not a reference such as data.uma.authz.decision", entrypoint)
	}
	return ref, nil
}

func (p *policy) prepare(ref ast.Ref) (query, error) {
	q := query{compiler: p.compiler.QueryCompiler()}
	var err error
	if q.body, err = q.compiler.Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(ref), ast.NewTerm(answer)))); err != nil {
		return query{}, fmt.Errorf("prepare %s: %w", ref, err)
	}
	return q, nil
}

func (p *policy) revision(since time.Time) *uma.Revision {
	return &uma.Revision{
		Hash: p.hash, Realm: p.realm, Since: since, OPA: version.Version,
		Sources: maps.Clone(p.sources), Beside: maps.Clone(p.beside),
	}
}

func mergeData(files map[string]map[string]any) (map[string]any, error) {
	merged := make(map[string]any)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if at, ok := merge(merged, files[file]); !ok {
			return merged, &place.Mistake{File: file, Text: fmt.Sprintf("data.%s is defined in another file, too", at)}
		}
	}
	return merged, nil
}

// merge copies the members of one object into another. If both have a member that is not an
// object in both, it returns the first such member.
func merge(into, from map[string]any) (at string, ok bool) {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		members, isObject := from[name].(map[string]any)
		have, exists := into[name]
		switch into2, both := have.(map[string]any); {
		case !exists && isObject:
			into[name] = make(map[string]any, len(members))
			merge(into[name].(map[string]any), members)
		case !exists:
			into[name] = from[name]
		case !isObject || !both:
			return name, false
		default:
			if below, ok := merge(into2, members); !ok {
				return name + "." + below, false
			}
		}
	}
	return "", true
}
