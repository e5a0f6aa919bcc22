package main

import (
	"context"
	"fmt"
	"io"

	"example.com/umpire/engine"
	"example.com/umpire/rollout"
)

// A checkReport is the JSON output of policy check.
type checkReport struct {
	gateReport
	Cached []cachedRow `json:"cached"` // empty if something blocks
}

// A cachedRow says whether a server keeps the answers of a team package, or of all.
type cachedRow struct {
	Package string `json:"package,omitempty"`
	Cached  bool   `json:"cached"`
	Because string `json:"because,omitempty"`
}

// cachedDecisions returns which decisions of a policy a server keeps, and why not others.
func cachedDecisions(ctx context.Context, c candidate) ([]cachedRow, error) {
	if c.settings.DecideAnew {
		return []cachedRow{{Because: "policy.cache_decisions is false"}}, nil
	}
	content, err := rollout.Read(c.settings.Bundle)
	if err != nil {
		return nil, err
	}
	compiled, err := engine.New(engine.Config{}).Compile(ctx, c.realm, c.settings, content.Source)
	if err != nil {
		return nil, err
	}
	functions := compiled.Functions()
	rows := make([]cachedRow, len(functions))
	for i, f := range functions {
		rows[i] = cachedRow{Package: f.Package, Cached: f.Because == "", Because: f.Because}
	}
	return rows, nil
}

func printCached(w io.Writer, rows []cachedRow) {
	for _, row := range rows {
		switch {
		case row.Package == "" && row.Cached:
			fmt.Fprintln(w, "decisions are cached: yes")
		case row.Package == "":
			fmt.Fprintf(w, "decisions are cached: no, because %s\n", row.Because)
		case !row.Cached:
			fmt.Fprintf(w, "decisions are cached: yes, but not those of %s, because %s\n", row.Package, row.Because)
		}
	}
}
