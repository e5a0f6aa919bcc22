package engine_test

import (
	"reflect"
	"strings"
	"testing"

	"example.com/umpire/engine"
)

// Lost finds the restrictions that a source lacks.
func TestLost(t *testing.T) {
	t.Parallel()
	guard := "package uma.guardrails\n\ndeny contains \"x\" if input.x\n"
	album, fallback := "package uma.policies.album\n\ngrant contains \"view\"\n", "package uma.policies.default\n\ndeny contains \"x\"\n"
	alias := `{"uma": {"facts": {"type_alias": {"https://example.com/album": "album"}}}}`
	type files = map[string]string
	all := files{"guard.rego": guard, "album.rego": album, "default.rego": fallback, "data.json": alias}
	without := func(names ...string) files {
		left := files{}
		for name, content := range all {
			left[name] = content
		}
		for _, name := range names {
			delete(left, name)
		}
		return left
	}
	with := func(of files, name, content string) files {
		of[name] = content
		return of
	}
	var (
		lostGuard = engine.Part{Name: "uma.guardrails"}
		lostAlbum = engine.Part{Name: "uma.policies.album", Types: []string{"album", "https://example.com/album"}}
		lostOther = engine.Part{Name: "uma.policies.default"}
	)
	for name, c := range map[string]struct {
		before, after files
		want          engine.Lost
	}{
		"nothing":             {all, without(), engine.Lost{}},
		"all files":           {all, files{}, engine.Lost{Everything: true, Parts: []engine.Part{lostGuard, lostAlbum, lostOther}}},
		"all but data":        {all, files{"data.json": alias}, engine.Lost{Everything: true, Parts: []engine.Part{lostGuard, lostAlbum, lostOther}}},
		"guardrails":          {all, without("guard.rego"), engine.Lost{Parts: []engine.Part{lostGuard}}},
		"their rules":         {all, with(without(), "guard.rego", "package uma.guardrails\n"), engine.Lost{Parts: []engine.Part{lostGuard}}},
		"guardrails moved":    {all, with(without("guard.rego"), "deep/g.rego", guard), engine.Lost{}},
		"a team":              {all, without("album.rego"), engine.Lost{Parts: []engine.Part{lostAlbum}}},
		"a team's rules":      {all, with(without(), "album.rego", "package uma.policies.album\n"), engine.Lost{}},
		"the default":         {all, without("default.rego"), engine.Lost{Parts: []engine.Part{lostOther}}},
		"a team, by its type": {all, with(without("album.rego", "data.json"), "x.rego", "package uma.policies[\"https://example.com/album\"]\n"), engine.Lost{Parts: []engine.Part{{Name: "uma.policies.album", Types: []string{"album"}}}}},
		"a name of its own": {files{"a.rego": "package uma.policies[\"a/b\"]\n", "b.rego": "package lib.b\n"}, files{"b.rego": "package lib.b\n"}, engine.Lost{Parts: []engine.Part{
			{Name: `uma.policies["a/b"]`, Types: []string{"a/b"}},
		}}},
		"aliases by rules": {files{"album.rego": album, "f.rego": "package uma.facts\n\ntype_alias[t] := \"album\" if some t in [\"x\"]\n"}, files{"f.rego": "package lib.f\n"}, engine.Lost{Parts: []engine.Part{
			{Name: "uma.policies.album"},
		}}},
		"from nothing": {files{}, all, engine.Lost{}},
		"a library":    {files{"b.rego": "package lib.b\n", "album.rego": album}, files{"album.rego": album}, engine.Lost{}},
	} {
		if got := engine.OutlineOf(source(t, c.before)).Lost(engine.OutlineOf(source(t, c.after))); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// Lost finds single denials that are gone while their package is still there, and documents
// that rules still read.
func TestLostPieces(t *testing.T) {
	t.Parallel()
	const (
		head   = "package uma.guardrails\n\n"
		day    = "deny contains \"day\" if input.x\n\n"
		night  = "deny contains \"night\" if input.y\n\n"
		ask    = "need_info contains {\"name\": \"n\"}\n\n"
		listed = "deny contains \"listed\" if input.subject.username in data.lib.blocked\n\n"
		bob    = `{"lib": {"blocked": ["bob"]}}`
	)
	type files = map[string]string
	two := files{"day.rego": head + day, "night.rego": head + night}
	list := files{"g.rego": head + listed, "data.json": bob}
	for name, c := range map[string]struct {
		before, after files
		want          string // names
	}{
		"a file of denials":           {two, files{"day.rego": head + day}, "night.rego"},
		"a file of wanted claims":     {files{"day.rego": head + day, "ask.rego": head + ask}, files{"day.rego": head + day}, "ask.rego"},
		"renamed":                     {two, files{"day.rego": head + day, "n.rego": head + night}, ""},
		"moved into another":          {two, files{"day.rego": head + day + night}, ""},
		"copied and then deleted":     {files{"day.rego": head + day + night, "night.rego": head + night}, files{"day.rego": head + day + night}, ""},
		"renamed and changed":         {two, files{"day.rego": head + day, "n.rego": head + strings.ReplaceAll(night, "night", "late")}, ""},
		"deleted in a file":           {two, files{"day.rego": head + day, "night.rego": head}, ""},
		"one deleted, one moved away": {files{"day.rego": head + day + ask, "night.rego": head + night}, files{"day.rego": head + ask}, "night.rego"},
		"a file without denials":      {files{"day.rego": head + day, "h.rego": head + "h if input.x\n"}, files{"day.rego": head + day}, ""},
		"all of the package":          {two, files{"x.rego": "package lib.x\n"}, "uma.guardrails"},
		"a head with the path":        {files{"day.rego": head + day, "n.rego": "package uma\n\nguardrails." + night}, files{"day.rego": head + day}, "n.rego"},
		"of a team":                   {files{"a.rego": "package uma.policies.album\n\n" + day, "b.rego": "package uma.policies.album\n\n" + night}, files{"a.rego": "package uma.policies.album\n\n" + day}, "b.rego"},
		"of a team to the guardrails": {files{"a.rego": "package uma.policies.album\n\n" + day, "b.rego": "package uma.policies.album\n\n" + night}, files{"a.rego": "package uma.policies.album\n\n" + day, "g.rego": head + night}, ""},
		"of a team by another's name": {files{"a.rego": "package uma.policies.album\n\n" + day, "data.json": `{"uma": {"facts": {"type_alias": {"album": "x", "u": "album"}}}}`}, files{"a.rego": "package uma.policies.u\n\nreasons contains \"x\"\n"}, ""},
		"grants of a team":            {files{"a.rego": "package uma.policies.album\n\n" + day, "b.rego": "package uma.policies.album\n\ngrant contains \"x\"\n"}, files{"a.rego": "package uma.policies.album\n\n" + day}, ""},
		"masks":                       {files{"a.rego": head + day, "m.rego": "package system.log\n\nmask contains \"/input/x\"\n"}, files{"a.rego": head + day}, "m.rego"},

		"data":                    {list, files{"g.rego": head + listed}, "data.lib.blocked"},
		"data, emptied":           {list, files{"g.rego": head + listed, "data.json": "{}"}, "data.lib.blocked"},
		"data beside other":       {list, files{"g.rego": head + listed, "data.json": `{"lib": {"other": []}}`}, "data.lib.blocked"},
		"data, edited":            {list, files{"g.rego": head + listed, "data.json": `{"lib": {"blocked": []}}`}, ""},
		"data that none reads":    {list, files{"g.rego": head + day}, ""},
		"data, moved":             {list, files{"g.rego": head + listed, "lib/data.yaml": `{"lib": {"blocked": ["eve"]}}`}, ""},
		"data becomes a rule":     {list, files{"g.rego": head + listed, "b.rego": "package lib\n\nblocked := [\"bob\"]\n"}, ""},
		"data becomes rules":      {list, files{"g.rego": head + listed, "b.rego": "package lib\n\nblocked[x] if some x in [\"bob\"]\n"}, ""},
		"rules of a library":      {files{"g.rego": head + listed, "b.rego": "package lib\n\nblocked := [\"bob\"]\n"}, files{"g.rego": head + listed}, "data.lib.blocked"},
		"an imported folder":      {files{"g.rego": head + "import data.lib\n\n" + strings.ReplaceAll(listed, "data.lib", "lib"), "lib/data.json": `{"lib": {"blocked": []}}`}, files{"g.rego": head + "import data.lib\n\n" + strings.ReplaceAll(listed, "data.lib", "lib")}, "data.lib.blocked"},
		"an imported document":    {files{"g.rego": head + "import data.lib.blocked as b\n\n" + strings.ReplaceAll(listed, "data.lib.blocked", "b"), "data.json": bob}, files{"g.rego": head + "import data.lib.blocked as b\n\n" + strings.ReplaceAll(listed, "data.lib.blocked", "b")}, "data.lib.blocked"},
		"a member, in a file":     {files{"g.rego": head + "deny contains \"x\" if data.lib.blocked[input.x]\n", "data.json": `{"lib": {"blocked": {"a": 1, "b": 1}}}`}, files{"g.rego": head + "deny contains \"x\" if data.lib.blocked[input.x]\n", "data.json": `{"lib": {"blocked": {"a": 1}}}`}, ""},
		"a member, with a file":   {files{"g.rego": head + "deny contains \"x\" if data.lib[input.x].no\n", "lib/a/data.json": `{"lib": {"a": {"no": 1}}}`, "lib/b-c/data.json": `{"lib": {"b-c": {"no": 1}}}`}, files{"g.rego": head + "deny contains \"x\" if data.lib[input.x].no\n", "lib/a/data.json": `{"lib": {"a": {"no": 1}}}`}, `data.lib["b-c"].no`},
		"all data, by a built-in": {files{"g.rego": head + "deny contains \"x\" if input.x in object.get(data, [\"lib\", \"b\"], [])\n", "data.json": bob}, files{"g.rego": head + "deny contains \"x\" if input.x in object.get(data, [\"lib\", \"b\"], [])\n"}, "data.lib"},
		"guardrails as data":      {files{"g.rego": head + ask, "uma/guardrails/data.json": `{"uma": {"guardrails": {"deny": ["x"]}}}`}, files{"g.rego": head + ask}, "data.uma.guardrails.deny"},
		"an alias":                {files{"a.rego": "package uma.policies.album\n", "data.json": `{"uma": {"facts": {"type_alias": {"u": "album", "v": "none"}}}}`}, files{"a.rego": "package uma.policies.album\n"}, "data.uma.facts.type_alias"},
		"a contradiction":         {list, files{"g.rego": head + listed, "data.yaml": `{"lib": 1}`, "data.json": `{"lib": 2}`}, ""},
	} {
		got := []string{}
		for _, part := range engine.OutlineOf(source(t, c.before)).Lost(engine.OutlineOf(source(t, c.after))).Parts {
			got = append(got, part.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
