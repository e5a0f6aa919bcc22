package lint

import (
	"maps"
	"slices"

	"example.com/umpire/uma"
)

// Names are those that a realm has.
type Names struct {
	uma.FileNames
	where   string // in messages
	file    string // of the realm; empty if they are those that a server knows
	issuers bool   // others than the realm may say which roles and groups a user has
	more    bool   // there are more types and scopes than these: a near miss of one is a warning
}

// standing are the roles that every realm has.
var standing = []string{"uma_authorization", "uma_protection", "offline_access"}

// NamesOf returns the names in a realm file.
func NamesOf(file string, spec *uma.RealmSpec) *Names {
	n := &Names{FileNames: *uma.NamesOf(spec), where: file, file: file, issuers: len(spec.Realm.Issuers) > 0}
	n.Roles = append(n.Roles, standing...)
	return n
}

// NamesIn returns the names that a server knows of a realm: those of its file, and those of
// resources that a resource server owns.
func NamesIn(realm *uma.Realm, known *uma.PolicyNames) *Names {
	n := &Names{where: "realm " + realm.Name, issuers: len(realm.Issuers) > 0, more: known.More || known.File == nil}
	if known.File != nil {
		n.FileNames = *known.File
	}
	n.Roles = slices.Concat(n.Roles, standing)
	scopes, resources := make(map[string][]string), make(map[string]string)
	maps.Copy(scopes, n.Scopes)
	maps.Copy(resources, n.Resources)
	for _, own := range known.Own {
		if own.Scope != "" {
			scopes[own.Type] = append(slices.Clip(scopes[own.Type]), own.Scope)
		}
		if _, ok := resources[own.Type]; !ok {
			resources[own.Type] = ""
		}
	}
	n.Scopes, n.Resources = scopes, resources
	return n
}

// types are the types of the realm's resources.
func (n *Names) types() []string {
	types := slices.Sorted(maps.Keys(n.Resources))
	return slices.DeleteFunc(types, func(kind string) bool { return kind == "" })
}
