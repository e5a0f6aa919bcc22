package main

import (
	"context"
	"testing"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

// measureEvaluation times the policy with nothing around it.
func measureEvaluation(ctx context.Context, _ setting, _ string) error {
	src, err := rollout.Source(policyFolder)
	if err != nil {
		return err
	}
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
	t := &table{heading: "Evaluation alone"}
	t.row("", "time", "allocations", "bytes")
	t.row("the policy of the decisions", count(r.NsPerOp())+" ns", count(r.AllocsPerOp()), count(r.AllocedBytesPerOp()))
	t.print()
	return failed
}
