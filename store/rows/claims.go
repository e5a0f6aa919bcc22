package rows

import (
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// Claims are the URIs (folded) and scopes of a resource that its owner registered and
// the resource server did not.
type Claims struct{ URIs, Scopes map[string]bool }

// NewClaims returns claims of folded URIs and of scopes.
func NewClaims(uris, scopes []string) Claims { return Claims{setOf(uris), setOf(scopes)} }

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// Add adds what an owner adds who replaces old by next.
func (c Claims) Add(old, next *uma.Resource) {
	for _, uri := range NewURIs(old, next) {
		c.URIs[uripath.Fold(uri)] = true
	}
	for _, scope := range next.Scopes {
		if !slices.Contains(old.Scopes, scope) {
			c.Scopes[string(scope)] = true
		}
	}
}

// FoldedURIs returns the URIs of a resource in the form in which they are compared without case.
func FoldedURIs(r *uma.Resource) []string {
	folded := make([]string, len(r.URIs))
	for i, uri := range r.URIs {
		folded[i] = uripath.Fold(uri)
	}
	return folded
}

// NewURIs returns the URIs of next that old does not have, compared without case.
func NewURIs(old, next *uma.Resource) []string {
	had := map[string]bool{}
	for _, uri := range old.URIs {
		had[uripath.Fold(uri)] = true
	}
	return slices.DeleteFunc(slices.Clone(next.URIs), func(uri string) bool { return had[uripath.Fold(uri)] })
}
