package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A reading is what a query may read of the input, and whether its answer depends on anything
// else.
type reading struct {
	input part

	// because is why equal parts of the input may have different answers: what is read or
	// called, and where. Empty: the answer is a function of these parts.
	because string
}

// A part is what may be read of a value.
type part struct {
	whole   bool
	members map[string]*part // of an object, unless the whole is read
}

// add notes that what is below a path is read.
func (p *part) add(path []string) {
	switch {
	case p.whole:
	case len(path) == 0:
		p.whole, p.members = true, nil
	default:
		if p.members == nil {
			p.members = make(map[string]*part)
		}
		below := p.members[path[0]]
		if below == nil {
			below = new(part)
			p.members[path[0]] = below
		}
		below.add(path[1:])
	}
}

func (p *part) clone() *part {
	c := &part{whole: p.whole}
	for name, below := range p.members {
		if c.members == nil {
			c.members = make(map[string]*part, len(p.members))
		}
		c.members[name] = below.clone()
	}
	return c
}

// fleeting are the parts of the input that differ in each request: answers that depend on them
// are not given a second time.
var fleeting = [][]string{
	{"context", "time"}, {"context", "request_id"}, {"context", "trace_id"}, {"ticket", "id"}, {"ticket", "issued_at"},
}

// timed are built-in functions whose answers depend on the time, although OPA does not call them
// nondeterministic. TestFunctionsAreKnown lists those that were looked at.
var timed = []string{
	"io.jwt.decode_verify", "crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options",
}

// A reader finds what a compiled query may read. Everything that is written in a rule counts,
// also what is never evaluated, and every rule that a reference might lead to. Rejected: OPA's
// package dependencies, which discards variables that it takes for unused, and does not know
// the places.
type reader struct {
	rules    *ast.TreeNode
	fleeting map[string]bool // names of functions whose answers are not those of their arguments alone
	seen     map[*ast.Rule]bool
	input    part
	because  []reason

	// byTeam: what the router reads of a team package, and the generated modules, are not
	// followed. That it reads one is noted, and whether a rule of the realm asks the router
	// itself, for an input of its own: then it is not known which package that reads.
	byTeam, routes, asked bool

	common *reader // has read what all teams have in common; nil: nothing was read before

	rule *ast.Rule     // that is read; nil: the query
	at   *ast.Location // of the term that is read
}

// A reason is why the answer of a rule is not a function of the input.
type reason struct {
	library bool // it is in the library, not in the realm's files
	file    string
	row     int
	text    string
}

// readingOf returns what a query may read.
func readingOf(c *ast.Compiler, query ast.Body) *reading {
	return newReader(c).reading(query)
}

// teamReadings returns what a query of the library's router may read for each team package.
// What all have in common is read once. The result is false if a rule of the realm asks the
// router itself, perhaps for another package.
func teamReadings(c *ast.Compiler, query ast.Body, teams []string) (map[string]*reading, bool) {
	common := newReader(c)
	common.byTeam = true
	common.read(query)
	found := make(map[string]*reading, len(teams))
	for _, team := range teams {
		r := common.next()
		if common.routes {
			r.data([]string{"uma", "policies", team})
			if generated := c.Modules[routedPrefix+team+".rego"]; generated != nil {
				r.all(generated.Rules)
			}
		}
		if found[team] = r.result(); common.asked || r.asked {
			return nil, false
		}
	}
	return found, true
}

// next returns a reader that goes on for one team.
func (r *reader) next() *reader {
	return &reader{
		rules: r.rules, fleeting: r.fleeting, seen: make(map[*ast.Rule]bool), common: r, byTeam: true,
		input: *r.input.clone(), because: slices.Clone(r.because),
	}
}

func newReader(c *ast.Compiler) *reader {
	r := &reader{rules: c.RuleTree, fleeting: make(map[string]bool), seen: make(map[*ast.Rule]bool)}
	for _, b := range ast.Builtins {
		if b.IsNondeterministic() || slices.Contains(timed, b.Name) {
			r.fleeting[b.Name] = true
		}
	}
	return r
}

func (r *reader) reading(query ast.Body) *reading {
	r.read(query)
	return r.result()
}

// result is what was read.
func (r *reader) result() *reading {
	r.input.add([]string{"scopes"}) // by which the rules that decided are told
	slices.SortFunc(r.because, func(a, b reason) int {
		if a.library != b.library {
			return map[bool]int{true: 1, false: -1}[a.library]
		}
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.row, b.row), strings.Compare(a.text, b.text))
	})
	if len(r.because) > 0 {
		return &reading{because: r.because[0].text}
	}
	return &reading{input: r.input}
}

// read notes what a part of a policy reads, with the rules that it refers to.
func (r *reader) read(x any) {
	ast.NewGenericVisitor(r.visit).Walk(x)
}

func (r *reader) visit(x any) (done bool) {
	switch x := x.(type) {
	case *ast.With:
		r.with(x)
		return true
	case *ast.Term:
		if x.Location != nil {
			r.at = x.Location
		}
	case ast.Ref:
		r.ref(x)
		return true
	case ast.Var:
		r.ref(ast.Ref{ast.NewTerm(x)})
	}
	return false
}

// with notes what `with target as value` reads. The target is replaced, not read. A part of the
// input is an exception: whether it can be replaced depends on what it is a part of.
func (r *reader) with(w *ast.With) {
	r.read(w.Value)
	target, ok := w.Target.Value.(ast.Ref)
	switch {
	case ok && target.Equal(ast.InputRootRef):
	case ok && target.HasPrefix(ast.InputRootRef):
		r.ref(target[:len(target)-1])
	default:
		r.read(w.Target)
	}
}

func (r *reader) ref(ref ast.Ref) {
	for _, term := range ref[1:] {
		r.read(term)
	}
	var path []string
	for _, term := range ref[1:] {
		name, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(name))
	}
	if r.byTeam && r.isRouting(path, len(ref)) {
		r.routes = true
		return
	}
	head, ok := ref[0].Value.(ast.Var)
	switch {
	case !ok:
		r.read(ref[0])
	case head.Equal(ast.InputRootDocument.Value):
		r.reads(path)
	case head.Equal(ast.DefaultRootDocument.Value):
		r.data(path)
	case r.fleeting[ref.String()]:
		r.note("calls " + ref.String())
	}
}

// reads notes that a part of the input is read.
func (r *reader) reads(path []string) {
	name := strings.Join(append([]string{"input"}, path...), ".")
	switch {
	case len(path) == 0:
		r.note("reads input as a whole")
	case slices.ContainsFunc(fleeting, func(f []string) bool { return hasPrefix(path, f) }):
		r.note("reads " + name)
	case slices.ContainsFunc(fleeting, func(f []string) bool { return hasPrefix(f, path) }):
		r.note("reads " + name + " as a whole")
	}
	r.input.add(path)
}

// data reads all rules on the way to a document, and below it.
func (r *reader) data(path []string) {
	for _, router := range [][]string{{"uma", "authz"}, {"uma", "routed"}} {
		if (hasPrefix(path, router) || hasPrefix(router, path)) && r.rule != nil && !inLibrary(r.rule.Loc()) {
			r.asked = true
		}
	}
	if r.byTeam && hasPrefix(path, routedPackage) {
		r.routes = true
		return
	}
	node := r.rules.Child(ast.DefaultRootDocument.Value)
	for _, name := range path {
		if node == nil {
			return
		}
		r.all(node.Values)
		node = node.Child(ast.String(name))
	}
	if node == nil {
		return
	}
	node.DepthFirst(func(below *ast.TreeNode) bool {
		r.all(below.Values)
		return false
	})
}

func (r *reader) all(rules []*ast.Rule) {
	for _, rule := range rules {
		if r.seen[rule] || r.common != nil && r.common.seen[rule] {
			continue
		}
		r.seen[rule] = true
		before, at := r.rule, r.at
		r.rule, r.at = rule, rule.Loc()
		r.read(rule)
		r.rule, r.at = before, at
	}
}

// isRouting reports whether a reference of the router is that to the team package.
func (r *reader) isRouting(path []string, length int) bool {
	return r.rule != nil && r.rule.Loc() != nil && r.rule.Loc().File == libraryPrefix+"authz.rego" &&
		slices.Equal(path, []string{"uma", "policies"}) && length > len(path)+1
}

func inLibrary(at *ast.Location) bool { return at != nil && strings.HasPrefix(at.File, libraryPrefix) }

// note notes why the answer is not a function of the input.
func (r *reader) note(what string) {
	n := reason{text: "the query " + what}
	if r.rule != nil && r.rule.Module != nil {
		n.text = fmt.Sprintf("%s %s", r.rule.Module.Package.Path, what)
	}
	if r.at != nil && r.at.File != "" {
		n.file, n.row, n.library = r.at.File, r.at.Row, inLibrary(r.at)
		n.text = fmt.Sprintf("%s (%s:%d)", n.text, n.file, n.row)
	}
	r.because = append(r.because, n)
}
