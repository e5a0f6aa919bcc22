package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

// measureImpact has a server decide with and without a shadow policy, and then replays what
// the one without decided.
func measureImpact(ctx context.Context, s setting, dir string) (err error) {
	plain := &umpire{binary: s.umpire, dir: filepath.Join(dir, "plain"), n: 1000}
	shadowed := &umpire{binary: s.umpire, dir: filepath.Join(dir, "shadowed"), n: 1000, shadow: true, other: "umpire, shadow policy on"}
	var contenders []contender
	for _, u := range []*umpire{plain, shadowed} {
		if err := u.fill(ctx); err != nil {
			return err
		}
		if err := u.start(ctx, "ES256"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, u.stop()) }()
		contenders = append(contenders, u.contender(u.decision()))
	}
	if err := report(ctx, s, "decisions with a shadow policy, 16 callers", 16, contenders); err != nil {
		return err
	}
	began := time.Now()
	out, err := exec.CommandContext(ctx, s.umpire, "policy", "impact", "--data", plain.data(), "--realm", "photoz",
		"--candidate", policyFolder, "--baseline", "recorded", "-o", "json").Output()
	if err != nil {
		return fmt.Errorf("policy impact: %w", err)
	}
	took := time.Since(began)
	var impact struct {
		Replayed  int `json:"replayed"`
		Unchanged int `json:"unchanged"`
	}
	if err := json.Unmarshal(out, &impact); err != nil {
		return err
	}
	if impact.Unchanged != impact.Replayed {
		return fmt.Errorf("the same policy decides otherwise: %s", out)
	}
	fmt.Printf("recorded decisions replayed: %d in %s, %.0f per second\n\n", impact.Replayed, took.Round(time.Millisecond), float64(impact.Replayed)/took.Seconds())
	return nil
}
