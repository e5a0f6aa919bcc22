package engine_test

import (
	"reflect"
	"testing"

	"example.com/umpire/engine"
)

// The restrictions that a source has lost.
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
		lostGuard = engine.Forgotten{Package: "uma.guardrails"}
		lostAlbum = engine.Forgotten{Package: "uma.policies.album", Types: []string{"album", "https://example.com/album"}}
		lostOther = engine.Forgotten{Package: "uma.policies.default"}
	)
	for name, c := range map[string]struct {
		before, after files
		want          engine.Lost
	}{
		"nothing":             {all, without(), engine.Lost{}},
		"all files":           {all, files{}, engine.Lost{Everything: true, Packages: []engine.Forgotten{lostGuard, lostAlbum, lostOther}}},
		"all but data":        {all, files{"data.json": alias}, engine.Lost{Everything: true, Packages: []engine.Forgotten{lostGuard, lostAlbum, lostOther}}},
		"guardrails":          {all, without("guard.rego"), engine.Lost{Packages: []engine.Forgotten{lostGuard}}},
		"their rules":         {all, with(without(), "guard.rego", "package uma.guardrails\n"), engine.Lost{Packages: []engine.Forgotten{lostGuard}}},
		"guardrails moved":    {all, with(without("guard.rego"), "deep/g.rego", guard), engine.Lost{}},
		"a team":              {all, without("album.rego"), engine.Lost{Packages: []engine.Forgotten{lostAlbum}}},
		"a team's rules":      {all, with(without(), "album.rego", "package uma.policies.album\n"), engine.Lost{}},
		"the default":         {all, without("default.rego"), engine.Lost{Packages: []engine.Forgotten{lostOther}}},
		"a team, by its type": {all, with(without("album.rego", "data.json"), "x.rego", "package uma.policies[\"https://example.com/album\"]\n"), engine.Lost{Packages: []engine.Forgotten{{Package: "uma.policies.album", Types: []string{"album"}}}}},
		"a name of its own": {files{"a.rego": "package uma.policies[\"a/b\"]\n", "b.rego": "package lib.b\n"}, files{"b.rego": "package lib.b\n"}, engine.Lost{Packages: []engine.Forgotten{
			{Package: `uma.policies["a/b"]`, Types: []string{"a/b"}},
		}}},
		"aliases by rules": {files{"album.rego": album, "f.rego": "package uma.facts\n\ntype_alias[t] := \"album\" if some t in [\"x\"]\n"}, files{"f.rego": "package lib.f\n"}, engine.Lost{Packages: []engine.Forgotten{
			{Package: "uma.policies.album"},
		}}},
		"from nothing": {files{}, all, engine.Lost{}},
		"a library":    {files{"b.rego": "package lib.b\n", "album.rego": album}, files{"album.rego": album}, engine.Lost{}},
	} {
		if got := engine.OutlineOf(source(t, c.before)).Lost(engine.OutlineOf(source(t, c.after))); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
