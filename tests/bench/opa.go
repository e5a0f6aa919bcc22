package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"example.com/umpire/engine"
	"example.com/umpire/policies"
	"example.com/umpire/uma"
)

// policyFolder is the realm's policy that both servers decide by.
const policyFolder = "tests/testdata/photoz/policies"

// question is what the policy is asked in all measurements: bob wants to view
// the board of photoz.
func question() *uma.Input {
	now := time.Now().UTC()
	return &uma.Input{
		Version: "1", Realm: "photoz", Kind: "rpt",
		Subject: uma.InputSubject{
			ID: "6b1d5c0e-51f2-4b38-9df4-6d9b0a9b3c11", Type: "user", Username: "bob", ACR: "1",
			Roles: []string{"user", "uma_authorization"}, ClientRoles: map[string][]string{"photoz-api": {"uma_protection"}},
			Groups: []string{}, GroupsKnown: true, Scopes: []string{"profile", "email"},
			Attributes: map[string]any{"email": "bob@example.com", "given_name": "bob", "family_name": "bob"},
		},
		Claims:         uma.InputClaims{Verified: map[string]any{}, Pushed: map[string][]string{}, Tokens: []uma.InputClaimToken{}},
		Client:         uma.InputClient{ID: "photoz-web", Public: true},
		ResourceServer: "photoz-api",
		Resource: &uma.InputResource{
			ID: "0b5e7a66-3a3c-4b52-8f0c-9a3a0c4f7d21", Name: "Board 17", Type: "board", Owner: "c1", URIs: []string{"/boards/17"},
			Scopes: []uma.Scope{"view", "post"}, Attributes: map[string][]string{"visibility": {"public"}},
		},
		Scopes: []uma.Scope{"view"}, Shares: []uma.InputShare{}, Requests: []uma.InputRequest{},
		Context: uma.InputContext{Time: now.Format(time.RFC3339Nano), IP: "127.0.0.1", RequestID: "bench"},
		Now:     now,
	}
}

// An opaServer is `opa run --server` with the library and the policy, and decision
// logs on its console.
type opaServer struct {
	*process
	addr string
	body string
}

func startOPA(ctx context.Context, s setting, dir string) (*opaServer, error) {
	if s.opa == "" {
		s.opa = filepath.Join(dir, "opa")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.opa, "github.com/open-policy-agent/opa").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build: %w: %s", err, out)
		}
	}
	library := filepath.Join(dir, "library")
	if err := os.CopyFS(library, regoOnly{policies.FS}); err != nil {
		return nil, err
	}
	teams := filepath.Join(dir, "teams.json") // what the engine puts there at activation
	if err := os.WriteFile(teams, []byte(teamNames()), 0o600); err != nil {
		return nil, err
	}
	input, err := engine.InputJSON(question())
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := launch(ctx, dir, "http://"+addr+"/health", s.opa, "run", "--server", "--addr", addr, "--log-level", "error",
		"--set", "decision_logs.console=true", library, policyFolder, teams)
	return &opaServer{p, addr, `{"input":` + string(input) + `}`}, err
}

// ask is a script: it has the policy decide.
func (o *opaServer) ask(c *conn, _, _ int) error {
	answer, err := c.send("POST", "/v1/data/uma/authz/decision", "Content-Type: application/json\r\n", o.body, 200)
	if err == nil && !strings.Contains(string(answer), `"granted":["view"]`) {
		err = fmt.Errorf("opa did not grant: %s", answer)
	}
	return err
}

// regoOnly hides what is no policy.
type regoOnly struct{ fs.FS }

func (f regoOnly) Open(name string) (fs.File, error) {
	if ext := filepath.Ext(name); name != "." && ext != "" && ext != ".rego" {
		return nil, fs.ErrNotExist
	}
	return f.FS.Open(name)
}

func (f regoOnly) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(f.FS, name)
	var out []fs.DirEntry
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) == ".rego" {
			out = append(out, e)
		}
	}
	return out, err
}

// teamNames is the document that the engine makes of the folder's packages.
func teamNames() string {
	names := map[string]bool{"default": true}
	files, _ := filepath.Glob(policyFolder + "/*.rego") // the folder is there: OPA has read it
	for _, f := range files {
		names[strings.TrimSuffix(filepath.Base(f), ".rego")] = true
	}
	raw, _ := json.Marshal(map[string]any{"uma": map[string]any{"teams": names}}) // strings and bools
	return string(raw)
}
