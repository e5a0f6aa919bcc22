package lint

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/nearest"
)

// checkWord compares one word of a rule with the names of the realm.
func (l *linter) checkWord(word string, m meaning, pkg []string, at *ast.Location) {
	n := l.names
	switch m.kind {
	case scope:
		l.checkScope(word, pkg, at)
	case role:
		l.checkParty(at, word, n.Roles, "role")
	case group:
		l.checkParty(at, word, n.Groups, "group")
	case clientRole:
		if m.client != anyElement && !slices.Contains(n.Clients, m.client) {
			return // the client itself is reported
		}
		l.checkParty(at, word, n.rolesOf(m.client), "client role")
	case client:
		l.checkClient(at, word, n.Clients, "client")
	case server:
		l.checkClient(at, word, n.Servers, "resource server")
	case resourceType:
		if near := nearest.Miss(word, n.types()); near != "" && !slices.Contains(n.types(), word) && !slices.Contains(l.outline.Teams(), word) {
			l.add(at, !n.more, "no resource in %s has the type %q: did you mean %q?", n.where, word, near)
		}
	}
}

// rolesOf are the roles of a client; of all for a client that the rule does not name.
func (n *Names) rolesOf(client string) (roles []string) {
	if client != anyElement {
		return n.ClientRoles[client]
	}
	for _, of := range n.ClientRoles {
		roles = append(roles, of...)
	}
	return roles
}

// checkParty reports a role or group that nobody has. Where issuers are trusted, their
// tokens name roles and groups that the file does not have.
func (l *linter) checkParty(at *ast.Location, word string, known []string, what string) {
	if slices.Contains(known, word) || !l.names.Users {
		return
	}
	if l.names.issuers && nearest.Miss(word, known) == "" {
		return
	}
	l.unknown(at, word, known, l.names.issuers, "no user or client in %s has the %s %q", l.names.where, what, word)
}

func (l *linter) checkClient(at *ast.Location, word string, known []string, what string) {
	if len(known) > 0 && !slices.Contains(known, word) {
		l.unknown(at, word, known, false, "%s has no %s %q", l.names.where, what, word)
	}
}

// checkScope reports a scope that no resource has which the package decides about. Unknown
// words alone are reported only in the package of a type that the file has resources of.
func (l *linter) checkScope(word string, pkg []string, at *ast.Location) {
	if word == "*" || slices.Contains(l.names.AnyScope, word) {
		return
	}
	known, kind := l.scopesFor(pkg)
	switch {
	case len(known) == 0 || slices.Contains(known, word):
	case kind != "":
		l.unknown(at, word, known, l.names.more, "no resource of type %s in %s has the scope %q", kind, l.names.where, word)
	default:
		l.unknown(at, word, known, l.names.more, "no resource in %s has the scope %q", l.names.where, word)
	}
}

// scopesFor are the scopes of the resources that a package decides about, and the type if
// that is one.
func (l *linter) scopesFor(pkg []string) (scopes []string, kind string) {
	for _, each := range l.typesOf(pkg) {
		if l.isTeam(pkg) {
			kind = each
		}
		scopes = append(scopes, l.names.Scopes[each]...)
	}
	return scopes, kind
}

// typesOf are the types of the file's resources that a package decides about: for a package
// of all types, such as the guardrails, all of them.
func (l *linter) typesOf(pkg []string) (types []string) {
	for _, kind := range slices.Sorted(maps.Keys(l.names.Resources)) {
		if key, _ := l.outline.TeamOf(kind); !l.isTeam(pkg) || key == pkg[2] {
			types = append(types, kind)
		}
	}
	return types
}

// isTeam reports whether a package decides about certain types alone.
func (l *linter) isTeam(pkg []string) bool {
	return teamPackage(pkg) && pkg[2] != "default" && !l.outline.Computed() && l.entrypoint == nil
}

// checkAttribute warns about attributes and claims that no resource and no user has, and
// about pushed claims that resemble a wanted one.
func (l *linter) checkAttribute(path, pkg []string, wanted []string, at *ast.Location) {
	if len(path) < 3 || path[2] == anyElement {
		return
	}
	n, name := l.names, path[2]
	switch path[0] + "." + path[1] {
	case "resource.attributes":
		if known, ok := l.attributesFor(pkg); ok && !slices.Contains(known, name) {
			l.unknown(at, name, known, true, "no resource in %s that %s decides about has the attribute %q", n.where, dotted(pkg), name)
		}
	case "subject.attributes":
		if n.Users && !slices.Contains(n.Claims, name) {
			l.unknown(at, name, n.Claims, true, "no user or client in %s has the attribute %q", n.where, name)
		}
	case "claims.verified":
		known := slices.Concat(n.Claims, standard, wanted)
		if n.Users && !n.issuers && !slices.Contains(known, name) {
			l.unknown(at, name, known, true, "no user or client in %s has the claim %q", n.where, name)
		}
	case "claims.pushed":
		if near := nearest.Miss(name, wanted); near != "" && !slices.Contains(wanted, name) {
			l.warn(at, "no rule wants the claim %q: did you mean %q?", name, near)
		}
	}
}

// standard are claims that the tokens of every realm may have.
var standard = []string{
	"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "typ", "sid", "nonce", "acr", "amr", "auth_time", "scope", "client_id",
	"name", "given_name", "family_name", "preferred_username", "username", "email", "email_verified", "groups", "roles",
	"realm_access", "resource_access", "authorization",
}

// attributesFor are those of the resources that a package decides about; ok is false if the
// file has no such resource.
func (l *linter) attributesFor(pkg []string) (attributes []string, ok bool) {
	for _, kind := range l.typesOf(pkg) {
		attributes, ok = append(attributes, l.names.Attributes[kind]...), true
	}
	return attributes, ok
}
