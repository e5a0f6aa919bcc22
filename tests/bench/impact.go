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
	var contenders []contender
	start := func(name string, realm realmFile) (*umpire, error) {
		u := &umpire{binary: s.umpire, size: size{resources: 1000}, dir: filepath.Join(dir, name)}
		u.data = filepath.Join(u.dir, "data")
		if err := u.size.make(ctx, u.data, ""); err != nil {
			return nil, err
		}
		if err := u.start(ctx, realm); err != nil {
			return nil, err
		}
		contenders = append(contenders, u.contender(name, u.decision()))
		return u, nil
	}
	plain, err := start("no shadow policy", realmFile{alg: "ES256"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plain.stop()) }()
	shadowed, err := start("a shadow policy", realmFile{alg: "ES256", shadow: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shadowed.stop()) }()
	if err := report(ctx, s, "Decisions with a shadow policy, 16 callers", 16, contenders); err != nil {
		return err
	}
	began := time.Now()
	out, err := exec.CommandContext(ctx, s.umpire, "policy", "impact", "--data", plain.data, "--realm", "photoz",
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
	t := &table{heading: "Recorded decisions evaluated again"}
	t.row("decisions", "time", "per second")
	t.row(count(int64(impact.Replayed)), took.Round(time.Millisecond).String(), count(int64(float64(impact.Replayed)/took.Seconds())))
	t.print()
	return nil
}
