package rows

import (
	"maps"
	"slices"

	"example.com/umpire/uma"
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
