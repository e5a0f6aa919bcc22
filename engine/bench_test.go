package engine_test

import (
	"testing"

	"example.com/umpire/uma"
)

// A decision: build the input, evaluate the policy, read its answer.
func BenchmarkDecide(b *testing.B) {
	_, evaluator := newEngine(b, photoz(b))
	share := uma.InputShare{
		ID: "s-1", Kind: "request", Scopes: []uma.Scope{"view"}, Users: []string{"u-bob"}, Strategy: "UNANIMOUS",
	}
	for _, c := range []struct {
		name   string
		change func(*uma.Input)
	}{
		{"team", of("board", "view")},
		{"owner", func(in *uma.Input) { in.Subject.ID = "u-alice" }},
		{"share", func(in *uma.Input) { in.Shares = []uma.InputShare{share}; in.Scopes = []uma.Scope{"view"} }},
		{"ask", nil},
		{"refused", of("zzz", "view")},
	} {
		in := input(c.change)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := evaluator.Decide(b.Context(), in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A decision that is known.
func BenchmarkRecall(b *testing.B) {
	_, evaluator := remembering(b, photoz(b))
	in := input(of("board", "view"))
	if _, err := evaluator.Decide(b.Context(), in); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if evaluator.Recall(in) == nil {
			b.Fatal("not known")
		}
	}
}

func BenchmarkActivate(b *testing.B) {
	e, _ := newEngine(b, photoz(b))
	src := source(b, photoz(b))
	for b.Loop() {
		if _, err := e.Activate(b.Context(), "photoz", settings, src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	for name, mask := range map[string]string{
		"plain":  "package lib.nothing\n",
		"masked": "package system.log\n\nmask contains \"/input/context/ip\"\n",
	} {
		files := photoz(b)
		files["mask.rego"] = mask
		_, evaluator := newEngine(b, files)
		ev := decided(b, evaluator, input(of("board", "view")))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := evaluator.Encode(b.Context(), ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
