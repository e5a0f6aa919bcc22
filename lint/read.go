package lint

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/engine"
	"example.com/umpire/nearest"
)

// meant are names that authors write for rules of the contract.
var meant = map[string]string{
	"allow": "grant", "allowed": "grant", "allows": "grant", "permit": "grant", "permits": "grant", "permitted": "grant",
	"granted": "grant", "authorize": "grant", "authorized": "grant", "approve": "grant",
	"denied": "deny", "denies": "deny", "denial": "deny", "disallow": "deny", "forbid": "deny", "forbids": "deny",
	"forbidden": "deny", "block": "deny", "blocked": "deny", "blocks": "deny", "reject": "deny", "refuse": "deny",
	"prohibit": "deny", "violation": "deny",
	"need": "need_info", "need_claim": "need_info", "need_claims": "need_info", "required_claims": "need_info",
	"want": "need_info", "wanted": "need_info",
	"ask": "submit", "ask_owner": "submit", "submitted": "submit", "request": "submit",
	"obligate": "obligations", "advice": "obligations",
	"erase": "mask", "redact": "mask",
}

// checkRead finds the rules in packages of the contract that nothing reads: neither a rule
// of the contract nor, over others, the entry point or the mask.
func (l *linter) checkRead() {
	read := l.readRules()
	for _, file := range l.files() {
		module := l.modules[file]
		path := path(module.Package.Path)
		inLog := len(path) == 2 && path[0] == "system" && path[1] == "log"
		if !teamPackage(path) && !inGuardrails(path) && !inLog {
			continue
		}
		reported := map[string]bool{}
		for _, rule := range module.Rules {
			name := ruleName(rule)
			if read[rule] || reported[name] {
				continue
			}
			reported[name] = true
			l.reportUnread(rule, path, name)
		}
	}
}

func inGuardrails(path []string) bool {
	return len(path) > 1 && path[0] == "uma" && path[1] == "guardrails"
}

// reportUnread says what probably was meant by a rule that nothing reads.
func (l *linter) reportUnread(rule *ast.Rule, path []string, name string) {
	members := engine.Members(path)
	near := nearest.Miss(name, members)
	if synonym := meant[strings.ToLower(name)]; near == "" && slices.Contains(members, synonym) {
		near = synonym
	}
	at, pkg := rule.Location, dotted(path)
	switch {
	case near != "":
		l.block(at, "nothing reads %s in %s: did you mean `%s`?", name, pkg, near)
	case path[0] == "system" && name == "drop":
		l.warn(at, "drop in system.log does nothing: every decision has a record")
	case path[0] == "system":
		l.warn(at, "nothing reads %s in %s: only `mask` is read", name, pkg)
	case inGuardrails(path) && slices.Contains(engine.Members([]string{"uma", "policies", "default"}), name):
		l.block(at, "nothing reads %s in %s: guardrails only deny and want claims; move the rule to a package uma.policies.<type>", name, pkg)
	case members == nil:
		l.block(at, "nothing reads %s in %s: only the rules of %s itself decide", name, pkg, dotted(contractPackage(path)))
	default:
		l.block(at, "nothing reads %s in %s: use it in a rule of the contract (%s), or delete it", name, pkg, strings.Join(members, ", "))
	}
}

// contractPackage is the package of the contract that a package is below.
func contractPackage(path []string) []string {
	if inGuardrails(path) {
		return path[:2]
	}
	return path[:3]
}

// readRules are the rules of the contract, the mask, a realm's own entry point, and the
// rules that these depend on. The library's entry point is not among them: it looks up team
// packages by a variable, and so depends on all their rules.
func (l *linter) readRules() map[*ast.Rule]bool {
	read := map[*ast.Rule]bool{}
	for _, module := range l.compiler.Modules {
		members := engine.Members(path(module.Package.Path))
		for _, rule := range module.Rules {
			if slices.Contains(members, ruleName(rule)) {
				l.follow(rule, read)
			}
		}
	}
	for _, rule := range l.compiler.GetRulesExact(l.entrypoint) {
		l.follow(rule, read)
	}
	return read
}

// follow adds a rule, its alternatives and what they depend on.
func (l *linter) follow(rule *ast.Rule, read map[*ast.Rule]bool) {
	for next := rule; next != nil; next = next.Else {
		if read[next] {
			continue
		}
		read[next] = true
		for used := range l.compiler.Graph.Dependencies(next) {
			l.follow(used.(*ast.Rule), read)
		}
	}
}

// ruleName is the name of a rule in its package.
func ruleName(rule *ast.Rule) string {
	if name, ok := rule.Head.Ref()[0].Value.(ast.Var); ok {
		return string(name)
	}
	return strings.Trim(rule.Head.Ref()[0].String(), `"`)
}
