package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for a release.
var version = "0.1.0-dev"

func versionCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version, the commit, and the versions of Go and OPA", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return e.printVersion() },
	}
	e.outputFlag(cmd)
	return cmd
}

func (e *env) printVersion() error {
	if e.asJSON() {
		return printJSON(e.stdout, newBuild())
	}
	_, err := fmt.Fprintln(e.stdout, newBuild())
	return err
}

// A build identifies the program in bug reports.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`   // empty if not built from a Git checkout
	Modified bool   `json:"modified"` // the checkout had uncommitted changes
	Go       string `json:"go"`
	OPA      string `json:"opa"`
}

func newBuild() build {
	b := build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/open-policy-agent/opa" {
			b.OPA = m.Version
		}
	}
	return b
}

func (b build) String() string {
	commit := "no commit recorded"
	if b.Commit != "" {
		commit = "commit " + b.Commit
	}
	if b.Modified {
		commit += " with changes"
	}
	return fmt.Sprintf("umpire %s (%s, %s, opa %s)", b.Version, commit, b.Go, b.OPA)
}
