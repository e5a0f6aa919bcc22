package tests

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "example.com/umpire"

// house is the picture of docs/design.md: what the packages of a folder may
// import, besides the standard library and one another within the folder.
// Folders that are not here (cmd, tests, examples) may import any package of
// the module; keepers holds for them too.
var house = map[string]struct {
	may   []string // this module's packages and others' modules
	tests []string // what their tests may import as well
}{
	"uma":             {tests: rooms("uma")},
	"uma/sets":        {tests: rooms("uma")},
	"uma/uripath":     {may: rooms("uma")},
	"uma/lookup":      {may: rooms("uma", "uma/uripath")},
	"uma/party":       {may: rooms("uma", "uma/sets", "workers"), tests: rooms("uma/umatest")},
	"uma/grant":       {may: rooms("uma", "uma/sets", "uma/uripath", "uma/lookup", "uma/party", "workers", "strictjson"), tests: rooms("uma/umatest", "uma/admin")},
	"uma/protection":  {may: rooms("uma", "uma/sets", "uma/uripath", "uma/lookup", "uma/party"), tests: rooms("uma/umatest")},
	"uma/account":     {may: rooms("uma", "uma/sets", "uma/party"), tests: rooms("uma/umatest")},
	"uma/admin":       {may: rooms("uma"), tests: rooms("uma/umatest")},
	"uma/audit":       {may: rooms("uma", "uma/sets", "uma/party", "uma/grant"), tests: rooms("uma/umatest")},
	"uma/umatest":     {may: rooms("uma", "uma/sets", "uma/uripath")},
	"workers":         {},
	"realm":           {may: append(rooms("uma", "uma/uripath", "phc", "nearest", "opaservice"), "go.yaml.in/yaml/v4"), tests: []string{"github.com/santhosh-tekuri/jsonschema/v6"}},
	"engine":          {may: []string{module + "/uma", module + "/policies", module + "/place", module + "/recent", module + "/strictjson", "github.com/open-policy-agent/opa", "github.com/santhosh-tekuri/jsonschema/v6"}},
	"policies":        {},
	"nearest":         {},
	"place":           {},
	"lint":            {may: append(rooms("uma", "engine", "nearest", "place"), "github.com/open-policy-agent/opa"), tests: rooms("bundles", "realm")},
	"rollout":         {may: rooms("uma", "uma/audit", "engine", "bundles", "lint", "place", "child")},
	"child":           {},
	"opaservice":      {may: []string{"github.com/open-policy-agent/opa"}},
	"sinks":           {may: rooms("uma"), tests: rooms("store")},
	"adminapi":        {may: rooms("uma", "uma/admin", "uma/audit", "rollout", "bundles")},
	"folder":          {},
	"phc":             {},
	"strictjson":      {},
	"recent":          {},
	"bundles":         {may: []string{module + "/place", module + "/strictjson", "github.com/open-policy-agent/opa", "github.com/fsnotify/fsnotify", "go.yaml.in/yaml/v4"}},
	"token":           {may: []string{module + "/uma", module + "/folder", module + "/phc", module + "/recent", module + "/strictjson", "github.com/golang-jwt/jwt/v5", "github.com/lestrrat-go/jwx/v3", "golang.org/x/crypto"}},
	"trust":           {may: append(rooms("uma", "recent", "strictjson"), "github.com/go-jose/go-jose/v4"), tests: append(rooms("uma/umatest"), "github.com/oauth2-proxy/mockoidc")},
	"store":           {may: rooms("uma", "recent", "store/copier", "store/memory", "store/postgres", "store/sqlite")},
	"store/copier":    {tests: append(rooms("uma", "folder", "store/postgres", "store/postgres/pgtest", "store/sqlite", "store/storetest"), "github.com/jackc/pgx/v5", "zombiezen.com/go/sqlite")},
	"store/postgres":  {may: append(rooms("uma", "uma/uripath", "folder", "recent", "store/copier", "store/memory", "store/rows"), "github.com/jackc/pgx/v5", "github.com/pressly/goose/v3", "github.com/google/uuid"), tests: rooms("store/storetest")},
	"store/sqlite":    {may: []string{module + "/uma", module + "/uma/uripath", module + "/folder", module + "/recent", module + "/store/copier", module + "/store/memory", module + "/store/rows", "modernc.org/sqlite", "zombiezen.com/go/sqlite", "github.com/pressly/goose/v3", "github.com/google/uuid"}, tests: []string{module + "/store/storetest", "modernc.org/libc", "github.com/google/uuid"}},
	"store/memory":    {may: rooms("uma", "recent", "store/rows")},
	"store/rows":      {may: rooms("uma", "uma/uripath")},
	"store/storetest": {may: []string{module + "/uma", module + "/uma/uripath", "pgregory.net/rapid"}},
	"server":          {may: append(rooms("uma", "uma/party", "uma/grant", "uma/protection", "uma/account", "uma/admin", "strictjson"), "github.com/labstack/echo/v4", "github.com/prometheus/client_golang", "github.com/google/uuid"), tests: rooms("uma/umatest")},
	"pep":             {may: []string{"github.com/golang-jwt/jwt/v5", "github.com/lestrrat-go/jwx/v3/jwk"}},
	"rego_test":       {tests: []string{module + "/uma", module + "/engine", module + "/policies", module + "/bundles", "github.com/open-policy-agent/opa"}},
}

// rooms are packages of this module; a package does not stand for those below it.
func rooms(names ...string) []string {
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = module + "/" + name
	}
	return paths
}

// keepers are the only folders whose packages may import these.
var keepers = map[string][]string{
	"github.com/labstack/echo":            {"server"},
	"github.com/open-policy-agent/opa":    {"engine", "bundles", "lint", "opaservice", "policies", "rego_test"},
	"modernc.org/sqlite":                  {"store/sqlite"},
	"zombiezen.com/go/sqlite":             {"store/sqlite"},
	"github.com/jackc/pgx":                {"store/postgres", "tests/bench"},
	"github.com/pressly/goose":            {"store/postgres", "store/sqlite"},
	"github.com/golang-jwt/jwt":           {"token", "pep"},
	"github.com/lestrrat-go/jwx":          {"token", "pep"},
	"github.com/go-jose/go-jose":          {"trust"},
	"go.yaml.in/yaml":                     {"realm", "bundles"},
	"github.com/prometheus/client_golang": {"server", "cmd/umpire"},
}

// anyTest may be imported by the tests of every package.
var anyTest = []string{"pgregory.net/rapid", "go.uber.org/goleak"}

// TestImports holds the packages to the direction that docs/design.md draws:
// above all, server, engine, store, token, trust and realm never import one another.
func TestImports(t *testing.T) {
	t.Parallel()
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list sees only %d packages", len(packages))
	}
	for _, p := range packages {
		folder := strings.TrimPrefix(p.ImportPath, module+"/")
		for _, path := range p.Imports {
			for kept, by := range keepers {
				if within(path, kept) && !slices.ContainsFunc(by, func(f string) bool { return within(folder, f) }) {
					t.Errorf("%s may not import %s: only %s may", folder, path, strings.Join(by, ", "))
				}
			}
		}
		room, rules, ok := roomOf(folder)
		if !ok {
			continue
		}
		for _, path := range p.Imports {
			if !allowed(path, room, rules.may) {
				t.Errorf("%s may not import %s", folder, path)
			}
		}
		for _, path := range append(p.TestImports, p.XTestImports...) {
			if !allowed(path, room, slices.Concat(rules.may, rules.tests, anyTest)) {
				t.Errorf("tests of %s may not import %s", folder, path)
			}
		}
	}
}

type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// roomOf finds the rules for a folder: its own, or those of the nearest one
// above it.
func roomOf(folder string) (room string, rules struct{ may, tests []string }, ok bool) {
	for room = folder; room != ""; {
		if rules, ok = house[room]; ok {
			return room, rules, true
		}
		i := strings.LastIndex(room, "/")
		if i < 0 {
			break
		}
		room = room[:i]
	}
	return "", rules, false
}

func allowed(path, room string, may []string) bool {
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") || within(path, module+"/"+room) && room != "uma" {
		return true // standard library, or a package of the same folder
	}
	return slices.ContainsFunc(may, func(m string) bool { return path == m || within(path, m) && !within(m, module) })
}

// within is whether a path is another or lies below it; github.com/labstack/echo
// holds github.com/labstack/echo/v4.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
