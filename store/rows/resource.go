package rows

import (
	"maps"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// ResourceSize is about how many bytes a resource has in memory.
func ResourceSize(r *uma.Resource) int {
	n := len(r.Name) + len(r.DisplayName) + len(r.Type) + len(r.IconURI)
	for _, uri := range r.URIs {
		n += len(uri)
	}
	for _, scope := range r.Scopes {
		n += len(scope)
	}
	return n + uma.AttributesSize(r.Attributes, r.Texts)
}

// SameResource reports whether two states of a resource are equal, except for their
// versions.
func SameResource(a, b *uma.Resource) bool {
	return a.Owner == b.Owner && a.Name == b.Name && a.DisplayName == b.DisplayName && a.Type == b.Type &&
		a.IconURI == b.IconURI && a.OwnerManaged == b.OwnerManaged && a.Origin == b.Origin &&
		slices.Equal(a.URIs, b.URIs) && slices.Equal(a.Scopes, b.Scopes) &&
		maps.EqualFunc(a.Attributes, b.Attributes, slices.Equal) && maps.Equal(a.Texts, b.Texts)
}

// FoldFilter returns a filter in the form of MatchesResource: its type and a part of a name are
// compared without case.
func FoldFilter(f uma.ResourceFilter) uma.ResourceFilter {
	f.Type = Fold(f.Type)
	if !f.ExactName {
		f.Name = Fold(f.Name)
	}
	return f
}

// MatchesResource reports whether r matches a folded filter, except for who registered the URI.
func MatchesResource(f *uma.ResourceFilter, r *uma.Resource) bool {
	name := strings.Contains(Fold(r.Name), f.Name)
	if f.ExactName && f.Name != "" {
		name = r.Name == f.Name
	}
	return name && (f.ID == "" || r.ID == f.ID) &&
		(f.Owner == "" || r.Owner == f.Owner) &&
		strings.Contains(Fold(r.Type), f.Type) &&
		(f.Scope == "" || slices.ContainsFunc(r.Scopes, func(s uma.Scope) bool { return strings.Contains(string(s), f.Scope) })) &&
		(f.URI == "" || slices.ContainsFunc(r.URIs, func(u string) bool { return uripath.Fold(u) == f.URI }))
}
