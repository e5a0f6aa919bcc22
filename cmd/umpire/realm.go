package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

func realmCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "realm", Short: "Realm files", Args: cobra.NoArgs}
	check := &cobra.Command{
		Use:   "check FILE...",
		Short: "Check realm files, and the policies they name",
		Args:  cobra.MinimumNArgs(1),
		RunE:  func(cmd *cobra.Command, files []string) error { return e.checkRealms(cmd.Context(), files) },
	}
	var prune bool
	apply := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Make the data folder what realm files say, beside a running server too",
		Long: `Make the data folder what realm files say. Applying a file twice changes nothing,
but for file rows that were changed over an API since: those are reset, and
listed. What the file no longer names is removed; where other rows hang on it,
nothing is changed unless --prune is given. A running server follows within a
second.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return e.applyRealms(cmd.Context(), files, prune) },
	}
	apply.Flags().BoolVar(&prune, "prune", false, "remove also what other rows hang on, and those rows")
	e.outputFlag(apply)
	cmd.AddCommand(check, apply)
	return cmd
}

// readRealm reads a realm file and compiles its policy.
func (e *env) readRealm(ctx context.Context, file string) (*uma.RealmSpec, error) {
	spec, notices, err := realm.Read(file, e.getenv)
	if err != nil {
		return nil, err
	}
	for _, n := range notices {
		fmt.Fprintln(e.stderr, n)
	}
	return spec, node.CheckPolicy(ctx, spec.Realm.Name, spec.Realm.Policy)
}

func (e *env) checkRealms(ctx context.Context, files []string) error {
	passed := true
	for _, file := range files {
		spec, err := e.readRealm(ctx, file)
		if err != nil {
			passed = false
			fmt.Fprintln(e.stderr, err)
			continue
		}
		fmt.Fprintf(e.stdout, "%s: realm %s, %d clients, %d users, %d resources: fine\n",
			file, spec.Realm.Name, len(spec.Clients), len(spec.Users), len(spec.Resources))
	}
	if !passed {
		return errRefused
	}
	return nil
}

func (e *env) applyRealms(ctx context.Context, files []string, prune bool) (err error) {
	program, err := e.asJSON()
	if err != nil {
		return err
	}
	var specs []*uma.RealmSpec
	for _, file := range files {
		spec, err := e.readRealm(ctx, file)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	n, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	reports := map[string]*uma.RealmReport{}
	for _, spec := range specs {
		report, err := n.Authority.ApplyRealm(ctx, spec, prune, false, e.progress(spec.Realm.Name))
		if errors.Is(err, uma.ErrPrune) {
			fmt.Fprintln(e.stderr, "other rows hang on what the file no longer names; nothing was changed:")
			for _, row := range report.Kept {
				fmt.Fprintln(e.stderr, "  "+row)
			}
			return fmt.Errorf("realm %s: use --prune to remove them", spec.Realm.Name)
		}
		if err != nil {
			return err
		}
		reports[spec.Realm.Name] = report
		if !program {
			e.printReport(spec.Realm.Name, report)
		}
	}
	if program {
		return printJSON(e.stdout, reports)
	}
	return nil
}

// progress tells about applies that take long.
func (e *env) progress(realm string) func(done, total int) {
	return func(done, total int) {
		if total > 1000 {
			fmt.Fprintf(e.stderr, "realm %s: %d of %d rows\n", realm, done, total)
		}
	}
}

func (e *env) printReport(name string, r *uma.RealmReport) {
	changes := 0
	for _, kind := range []struct {
		name string
		rows []string
	}{
		{"created", r.Created}, {"updated", r.Updated}, {"adopted", r.Adopted}, {"removed", r.Removed},
		{"disabled", r.Disabled}, {"kept", r.Kept}, {"reset", r.Drifted},
	} {
		for _, row := range kind.rows {
			changes++
			fmt.Fprintf(e.stdout, "%-8s  %s\n", kind.name, row)
		}
	}
	if changes == 0 {
		fmt.Fprintf(e.stdout, "realm %s is as the file says\n", name)
	}
}
