package lint

import (
	"slices"

	"example.com/umpire/nearest"
	"example.com/umpire/place"
)

// checkTypes compares the team packages with the types of resources. With an entry point of
// the realm's own, or with aliases that rules compute, the package of a type is unknown.
func (l *linter) checkTypes() {
	types := l.names.types()
	if len(types) == 0 || l.entrypoint != nil || l.outline.Computed() {
		return
	}
	keys := l.outline.Teams()
	looked := append(l.outline.Aliased(), "default") // the keys that are looked up
	for _, kind := range types {
		key, ok := l.outline.TeamOf(kind)
		looked = append(looked, key)
		if !ok && !slices.Contains(keys, "default") {
			text := "no package " + packageOf(key) + " decides about resources of type " + kind
			if name := l.names.Resources[kind]; name != "" {
				text += ", such as " + name
			}
			text += ": uma.policies.default decides, and grants nothing"
			l.findings = append(l.findings, Finding{Mistake: place.Mistake{File: l.names.file, Text: text}})
		}
	}
	for _, key := range keys {
		if !slices.Contains(looked, key) {
			l.checkTeam(key, looked)
		}
	}
}

func packageOf(key string) string { return dotted([]string{"uma", "policies", key}) }

// checkTeam reports a team package for a type that no resource of the file has, if it
// resembles another. Resource servers register other types over the API, so that an unknown
// type alone is no finding.
func (l *linter) checkTeam(key string, looked []string) {
	near := nearest.Miss(key, looked)
	if near == "" {
		return
	}
	for _, file := range l.files() {
		module := l.modules[file]
		if path := path(module.Package.Path); teamPackage(path) && path[2] == key {
			l.add(module.Package.Location, !l.names.more, "no resource has the type %q: did you mean %q, package %s?", key, near, packageOf(near))
		}
	}
}
