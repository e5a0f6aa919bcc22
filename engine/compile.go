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

	"example.com/umpire/policies"
	"example.com/umpire/uma"
)

// A policy is one revision of one realm's policy, compiled. It never changes:
// its store is its own and is read in one transaction for as long as it lives.
type policy struct {
	realm    string
	hash     string
	sources  map[string]string
	timeout  time.Duration
	names    map[string]*ast.Term // see inputNames
	now      func() time.Time
	compiler *ast.Compiler
	store    storage.Store
	txn      storage.Transaction
	decision query
	mask     *query // nil where the realm does not mask
	labels   bool   // some rule has labels

	// deciders are the rules that may decide a scope; nil for an entry point of the
	// realm's own, whose use of them is not known.
	deciders []decider
}

// A query asks for one document.
type query struct {
	body     ast.Body
	compiler ast.QueryCompiler
}

// answer is the variable that a query binds.
const answer = ast.Var("answer")

// maskRef is where OPA looks for the masks of a decision log.
const maskRef = "data.system.log.mask"

func compile(ctx context.Context, realm string, settings uma.PolicySettings, src Source, now func() time.Time) (*policy, error) {
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
	p := &policy{realm: realm, timeout: settings.Timeout, now: now}
	if p.sources, err = librarySources(); err != nil {
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
		return nil, fmt.Errorf("policy.entrypoint %s: no such rule", settings.Entrypoint)
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
	if p.labels = p.compiler.GetAnnotationSet().HasLabels(); p.labels {
		mergeLabels(p.compiler)
		if settings.Entrypoint == libraryEntrypoint {
			p.deciders = noteDeciders(p.compiler)
		}
	}
	return p, nil
}

// mergeLabels gives each rule the labels of its whole chain of annotations. Left
// to itself OPA goes through the chain of every rule that held, in each
// evaluation, a tenth of its time; but a rule that the compiler's set does not
// know has the labels that it carries.
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
	Modules  map[string]*ast.Module // the library's and the realm's
	Data     map[string]any
}

// Assemble puts the shipped library beside a realm's files. It checks nothing
// but that no two data files say different things of one path.
func Assemble(src Source) (*Parts, error) {
	modules, err := Library()
	if err != nil {
		return nil, err
	}
	maps.Copy(modules, src.Modules)
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
	compiler, err := newCompiler()
	if err != nil {
		return nil, err
	}
	return &Parts{Compiler: compiler, Modules: modules, Data: data}, nil
}

func newCompiler() (*ast.Compiler, error) {
	schemas := ast.NewSchemaSet()
	for _, name := range []string{"input-v1", "output-v1"} {
		content, err := policies.FS.ReadFile("schemas/" + name + ".json")
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		var schema any
		if err := json.Unmarshal(content, &schema); err != nil {
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

// looksOutside are functions that read more than input and bundle, besides those of the
// network: a decision must depend on these two alone, so that a recorded one can be
// repeated.
var looksOutside = []string{"http.send", "opa.runtime", "rego.parse_module"}

// reachesOut reports whether a built-in function reads more than input and bundle.
func reachesOut(name string) bool {
	return strings.HasPrefix(name, "net.lookup") || strings.HasPrefix(name, "providers.aws.") ||
		slices.Contains(looksOutside, name)
}

// endless are functions whose time or memory is not bounded by the size of their
// arguments, and that do not check the evaluation's deadline: with claims that a client
// pushes they could occupy a processor for minutes. A schema that refers to itself
// overflows the stack in json.match_schema, which ends the server.
var endless = []string{
	"bits.lsh", "graph.reachable_paths", "json.match_schema", "product", "strings.render_template",
}

// capabilities are those of OPA without the functions that a policy must not call.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(slices.Clone(c.Builtins), func(b *ast.Builtin) bool {
		return reachesOut(b.Name) || slices.Contains(endless, b.Name)
	})
	// Not nil, which would allow every host to schemas' $ref.
	c.AllowNet = []string{}
	return c
}

func entrypointRef(entrypoint string) (ast.Ref, error) {
	ref, err := ast.ParseRef(entrypoint)
	if err != nil || !ref.HasPrefix(ast.DefaultRootRef) || len(ref) < 3 || !ref.IsGround() {
		return nil, fmt.Errorf("policy.entrypoint %q is no reference such as data.uma.authz.decision", entrypoint)
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
	return &uma.Revision{Hash: p.hash, Realm: p.realm, Sources: maps.Clone(p.sources), Since: since}
}

func mergeData(files map[string]map[string]any) (map[string]any, error) {
	merged := make(map[string]any)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if at, ok := merge(merged, files[file]); !ok {
			return merged, &fault{file: file, text: fmt.Sprintf("data.%s is in another file, too", at)}
		}
	}
	return merged, nil
}

// merge copies the members of one object into another. It returns the first that
// both hold, unless it is an object in both.
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
