package engine_test

import (
	"slices"
	"testing"

	"example.com/umpire/uma"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	_, evaluator := newEngine(t, photoz(t))
	share := uma.InputShare{ID: "s-1", Kind: "request", Scopes: []uma.Scope{"view"}, Users: []string{"u-bob"}, Strategy: "UNANIMOUS"}
	for name, c := range map[string]struct {
		change  func(*uma.Input)
		granted []uma.Scope
		submit  []uma.Scope
		rests   []string
	}{
		"asks the owner":    {nil, nil, []uma.Scope{"delete", "view"}, nil},
		"the owner":         {func(in *uma.Input) { in.Subject.ID = "u-alice" }, []uma.Scope{"delete", "view"}, nil, nil},
		"shared in part":    {func(in *uma.Input) { in.Shares = []uma.InputShare{share} }, []uma.Scope{"view"}, []uma.Scope{"delete"}, []string{"s-1"}},
		"a team's grant":    {of("board", "view"), []uma.Scope{"view"}, nil, nil},
		"in part":           {of("mixed", "read", "write"), []uma.Scope{"read"}, nil, nil},
		"not an admin":      {of("admin", "view"), nil, nil, nil},
		"no such type":      {of("zzz", "view"), nil, nil, nil},
		"without scopes":    {of("bare"), []uma.Scope{"*"}, nil, nil},
		"a pushed claim":    {of("bank", "withdraw"), []uma.Scope{"withdraw"}, nil, nil},
		"too large a claim": {func(in *uma.Input) { of("bank", "withdraw")(in); in.Claims.Pushed["amount"] = []string{"500"} }, nil, nil, nil},
		"scope alone":       {func(in *uma.Input) { in.Resource = nil; in.Scopes = []uma.Scope{"download"} }, []uma.Scope{"download"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := evaluator.Decide(t.Context(), input(c.change))
			if err != nil {
				t.Fatal(err)
			}
			out := got.Output
			if !slices.Equal(out.Granted, c.granted) || !slices.Equal(out.Submit, c.submit) || !slices.Equal(out.RestsOn, c.rests) {
				t.Errorf("got granted %v submit %v rests on %v, want %v %v %v", out.Granted, out.Submit, out.RestsOn, c.granted, c.submit, c.rests)
			}
			if out.SharesUnknown || got.Failed != "" {
				t.Errorf("shares unknown: %t, failed: %q", out.SharesUnknown, got.Failed)
			}
		})
	}
}
