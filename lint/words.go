package lint

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A kind says of which names a word in a policy is one.
type kind int

const (
	none kind = iota
	scope
	role
	group
	client
	server
	resourceType
	clientRole
)

// A meaning is a kind; of a client's role with the client, if the rule names one.
type meaning struct {
	kind   kind
	client string
}

// meanings are those of the parts of the input that are names.
func meaningOf(path []string) meaning {
	at := func(want ...string) bool {
		return slices.EqualFunc(path, want, func(is, want string) bool { return want == "" || is == want })
	}
	switch {
	case at("scopes", anyElement), at("resource", "scopes", anyElement):
		return meaning{kind: scope}
	case at("subject", "roles", anyElement):
		return meaning{kind: role}
	case at("subject", "groups", anyElement):
		return meaning{kind: group}
	case at("subject", "client_roles", "", anyElement):
		return meaning{clientRole, path[2]}
	case at("client", "id"):
		return meaning{kind: client}
	case at("resource_server"):
		return meaning{kind: server}
	case at("resource", "type"):
		return meaning{kind: resourceType}
	}
	return meaning{}
}

// checkWords finds names in rules that the realm does not have: in comparisons with the
// input, in sets of scopes, and in calls of functions that compare their arguments so.
func (l *linter) checkWords() {
	s := &scan{linter: l, params: map[string][]meaning{}}
	for range maxBindings { // until no function has another parameter that is a name
		s.grew, s.wanted = false, nil
		s.all()
		if !s.grew {
			break
		}
	}
	s.report = true
	s.all()
}

// A scan reads all rules of the realm.
type scan struct {
	*linter
	params map[string][]meaning // of functions
	grew   bool                 // params did
	wanted []string             // names of claims
	report bool

	// of the rule being read
	rule  *ast.Rule
	path  []string // of its package
	bound bindings
}

func (s *scan) all() {
	for _, file := range s.files() {
		module := s.modules[file]
		s.path = path(module.Package.Path)
		for _, rule := range module.Rules {
			for ; rule != nil; rule = rule.Else {
				s.read(rule)
			}
		}
	}
}

func (s *scan) read(rule *ast.Rule) {
	s.rule, s.bound = rule, bindingsOf(rule, s.compiler)
	s.readHead(rule)
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		if terms, ok := expr.Terms.([]*ast.Term); ok && len(terms) > 1 {
			s.readCall(expr, terms)
		}
		return false
	})
	eachRef(rule, nil, func(ref ast.Ref, expr *ast.Expr) { s.readPath(ref, locationOf(rule, expr)) })
}

// readHead reads the scopes that a rule of the contract adds to its set.
func (s *scan) readHead(rule *ast.Rule) {
	if rule.Head.Key == nil || !teamPackage(s.path) && !inGuardrails(s.path) {
		return
	}
	key := s.bound.resolve(rule.Head.Key)
	object, isObject := key.Value.(ast.Object)
	switch ruleName(rule) {
	case "grant", "submit":
		s.words(s.bound.texts(rule.Head.Key), meaning{kind: scope}, rule.Location)
	case "deny":
		if isObject {
			s.words(s.member(object, "scope", s.bound.texts), meaning{kind: scope}, rule.Location)
		}
	case "need_info":
		if isObject {
			s.words(s.member(object, "scopes", s.bound.elements), meaning{kind: scope}, rule.Location)
			for _, name := range s.member(object, "name", s.bound.texts) {
				s.wanted = append(s.wanted, string(name.Value.(ast.String)))
			}
		}
	}
}

func (s *scan) member(object ast.Object, name string, texts func(*ast.Term) []*ast.Term) []*ast.Term {
	if member := object.Get(ast.StringTerm(name)); member != nil {
		return texts(member)
	}
	return nil
}

// readCall reads a comparison, or a call of a function.
func (s *scan) readCall(expr *ast.Expr, terms []*ast.Term) {
	switch name := expr.Operator().String(); {
	case len(terms) == 3 && (name == "eq" || name == "equal" || name == "neq"):
		s.compare(terms[1], terms[2], expr.Location)
		s.compare(terms[2], terms[1], expr.Location)
	case len(terms) >= 3 && name == ast.Member.Name:
		s.among(terms[1], terms[2], expr.Location)
	default:
		for i, m := range s.params[name] {
			if m.kind != none && i+1 < len(terms) {
				s.is(terms[i+1], m, expr.Location)
			}
		}
	}
}

// compare reads a == b.
func (s *scan) compare(a, b *ast.Term, at *ast.Location) {
	if path, ok := s.bound.inputPath(a); ok {
		if m := meaningOf(path); m.kind != none {
			s.is(b, m, at)
		}
	}
}

// among reads a in b.
func (s *scan) among(a, b *ast.Term, at *ast.Location) {
	if path, ok := s.bound.inputPath(b); ok {
		if m := meaningOf(append(path, anyElement)); m.kind != none {
			s.is(a, m, at)
		}
	}
	if path, ok := s.bound.inputPath(a); ok {
		if m := meaningOf(path); m.kind != none {
			s.words(s.bound.elements(b), m, at)
		}
	}
}

// is takes a term for a name: its words, or a parameter of the function that is read.
func (s *scan) is(t *ast.Term, m meaning, at *ast.Location) {
	s.words(s.bound.texts(t), m, at)
	for i, arg := range s.rule.Head.Args {
		if _, isVar := arg.Value.(ast.Var); !isVar || !arg.Equal(s.bound.resolve(t)) {
			continue
		}
		name := s.rule.Ref().String()
		if s.params[name] == nil {
			s.params[name] = make([]meaning, len(s.rule.Head.Args))
		}
		if i < len(s.params[name]) && s.params[name][i].kind == none {
			s.params[name][i], s.grew = m, true
		}
	}
}

// readPath reads the client in input.subject.client_roles["photoz-api"].
func (s *scan) readPath(ref ast.Ref, at *ast.Location) {
	path, ok := s.bound.inputPath(ast.NewTerm(ref))
	if !ok {
		return
	}
	if len(path) > 2 && path[0] == "subject" && path[1] == "client_roles" && path[2] != anyElement {
		s.words([]*ast.Term{{Value: ast.String(path[2]), Location: at}}, meaning{kind: client}, at)
	}
	if s.report {
		s.checkAttribute(path, s.path, s.wanted, at)
	}
}

func (s *scan) words(terms []*ast.Term, m meaning, at *ast.Location) {
	if !s.report {
		return
	}
	for _, t := range terms {
		if t.Location != nil && t.Location.File != "" {
			at = t.Location
		}
		s.checkWord(string(t.Value.(ast.String)), m, s.path, at)
	}
}
