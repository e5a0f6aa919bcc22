package main

import (
	"context"
	"io/fs"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/policies"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// measureEvaluation times the policy with nothing around it: as it is activated, and with a
// library that is not the shipped one, for which nothing is generated.
func measureEvaluation(ctx context.Context, _ setting, _ string) error {
	src, err := rollout.Source(policyFolder)
	if err != nil {
		return err
	}
	t := &table{heading: "Evaluation alone"}
	t.row("", "time", "allocations", "bytes")
	if err := t.evaluation(ctx, "as activated", src); err != nil {
		return err
	}
	if src.Library, err = otherLibrary(); err != nil {
		return err
	}
	if err := t.evaluation(ctx, "the plain library", src); err != nil {
		return err
	}
	t.print()
	return nil
}

// otherLibrary is the shipped library with a line more at the end of its files.
func otherLibrary() (map[string]string, error) {
	library := map[string]string{}
	err := fs.WalkDir(policies.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := policies.FS.ReadFile(path)
		library["/umpire/"+path] = string(content) + "\n"
		return err
	})
	return library, err
}

func (t *table) evaluation(ctx context.Context, name string, src engine.Source) error {
	settings := uma.PolicySettings{Timeout: time.Second, Entrypoint: "data.uma.authz.decision"}
	e := engine.New(engine.Config{Now: time.Now})
	if _, err := e.Activate(ctx, "photoz", settings, src); err != nil {
		return err
	}
	policy, err := e.Prepare(ctx, &uma.Realm{Name: "photoz", Policy: settings})
	if err != nil {
		return err
	}
	in := question()
	var failed error
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := policy.Decide(ctx, in); err != nil {
				failed = err
				return
			}
		}
	})
	t.row(name, count(r.NsPerOp())+" ns", count(r.AllocsPerOp()), count(r.AllocedBytesPerOp()))
	return failed
}
