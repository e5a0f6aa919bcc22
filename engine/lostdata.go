package engine

import (
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// documents are the paths below data that rules read, and the values there: of data files
// and of rules. If the value is missing, a rule that reads it is undefined: a denial does
// not hold.
type documents struct {
	reads [][]string                // the constant parts of the paths that rules read
	files map[string]map[string]any // each under the root its folder gives it
	data  map[string]any            // of all files; nil if two define the same path
	rules paths                     // of the values that rules make
	above paths                     // prefixes of those
}

// paths is a set of paths below data.
type paths map[string]bool

func key(path []string) string { return strings.Join(path, "\x00") }

// covers reports whether the set has a path or a prefix of it.
func (p paths) covers(path []string) bool {
	for n := range len(path) + 1 {
		if p[key(path[:n])] {
			return true
		}
	}
	return false
}

// libraryReads are the paths that the library reads in a realm's data besides the aliases.
var libraryReads = [][]string{{"uma", "guardrails"}, {"uma", "policies"}, {"system", "log"}}

func documentsOf(src Source) documents {
	d := documents{files: src.Data, rules: paths{}, above: paths{}}
	if data, err := mergeData(src.Data); err == nil {
		d.data = data
	}
	for _, module := range src.Modules {
		d.reads = append(d.reads, reads(module)...)
		for _, rule := range module.Rules {
			made := rulePath(module, rule)
			d.rules[key(made)] = true
			for n := range made {
				d.above[key(made[:n])] = true
			}
		}
	}
	return d
}

// reads are the paths that a module reads, without `data`.
func reads(module *ast.Module) [][]string {
	var named [][]string
	imports := map[ast.Var][]string{}
	for _, i := range module.Imports {
		if ref, ok := i.Path.Value.(ast.Ref); ok && ref.HasPrefix(ast.DefaultRootRef) {
			imports[i.Name()] = fixed(ref[1:])
			named = append(named, fixed(ref[1:]))
		}
	}
	for _, rule := range module.Rules {
		ast.WalkRefs(rule, func(ref ast.Ref) bool {
			if ref.HasPrefix(ast.DefaultRootRef) {
				named = append(named, fixed(ref[1:]))
			} else if name, ok := ref[0].Value.(ast.Var); ok && imports[name] != nil {
				named = append(named, slices.Concat(imports[name], fixed(ref[1:])))
			}
			return false
		})
	}
	return named
}

// fixed are the constant names at the beginning of a reference.
func fixed(ref ast.Ref) []string {
	names := []string{}
	for _, term := range ref {
		name, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		names = append(names, string(name))
	}
	return names
}

// lost returns the documents that only this source has and that the rules of the next one
// read. Of a data file that is gone these are also the top-level members that rules may
// read by a computed name. Members of a file that is still there are no loss: somebody
// edited the file.
func (d *documents) lost(next documents) []Part {
	if next.data == nil {
		return nil // the next source is refused for another reason
	}
	var gone [][]string
	read := paths{}
	for _, path := range slices.Concat(next.reads, libraryReads) {
		read[key(path)] = true
	}
	for _, path := range next.reads {
		if d.has(path) && !next.has(path) {
			gone = append(gone, path)
		}
	}
	for file := range d.files {
		if _, there := next.files[file]; there {
			continue
		}
		for _, member := range d.members(file) {
			if read.covers(member) && !next.has(member) {
				gone = append(gone, member)
			}
		}
	}
	slices.SortFunc(gone, slices.Compare)
	gone = slices.CompactFunc(gone, slices.Equal)
	var lost []Part
	for i, path := range gone {
		if i+1 < len(gone) && hasPrefix(gone[i+1], path) {
			continue // the next path is a part of this one and says more
		}
		lost = append(lost, Part{Name: dotted(append([]string{"data"}, path...)), Note: "rules read it"})
	}
	return lost
}

// members are the paths of the top-level members of a data file.
func (d *documents) members(file string) [][]string {
	var root []string
	if dir := path.Dir(file); dir != "." {
		root = strings.Split(dir, "/")
	}
	value, _ := valueAt(d.files[file], root)
	object, _ := value.(map[string]any)
	var members [][]string
	for name := range object {
		members = append(members, append(slices.Clone(root), name))
	}
	return members
}

// has reports whether there is a value at a path.
func (d *documents) has(path []string) bool {
	if _, ok := valueAt(d.data, path); ok {
		return true
	}
	return d.above[key(path)] || d.rules.covers(path)
}

func valueAt(data map[string]any, path []string) (value any, ok bool) {
	value = data
	for _, name := range path {
		object, _ := value.(map[string]any)
		if value, ok = object[name]; !ok {
			return nil, false
		}
	}
	return value, true
}
