package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/umpire/realm"
	"example.com/umpire/rollout"
	"example.com/umpire/store/postgres"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

func realmCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "realm", Short: "Create, check and apply realm files", Args: cobra.NoArgs}
	var noSecrets bool
	check := &cobra.Command{
		Use:   "check FILE...",
		Short: "Check realm files, and examine the policies that they name",
		Long: `Check realm files, and run every gate that needs no server over the policies that
they name, as policy check does. The exit code is 3 if something blocks.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return e.checkRealms(cmd.Context(), files, noSecrets) },
	}
	check.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not look up the secrets written env: and file:")
	e.outputFlag(check)
	schema := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of realm files",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := e.stdout.Write(realm.Schema())
			return err
		},
	}
	var how applyFlags
	apply := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Apply realm files (safe while the server runs)",
		Long: `Create, update and delete the objects of a realm as its file says. A running server
uses the changes within a second. Applying a file again changes nothing, except that
objects from the file that were changed over an API are reset, and listed.

Objects that the file no longer has are deleted. If other objects depend on one of
them, such as the sessions of a user, the file is not applied unless --prune is given.

With --dry-run the changes are made, listed and rolled back; writes of a running server
wait until then.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return e.applyRealms(cmd.Context(), files, how) },
	}
	apply.Flags().BoolVar(&how.prune, "prune", false, "also delete objects that are still in use, with all that depends on them")
	apply.Flags().BoolVar(&how.dryRun, "dry-run", false, "list the changes without making them")
	e.outputFlag(apply)
	cmd.AddCommand(realmInitCommand(e), check, schema, apply)
	return cmd
}

// readRealm reads a realm file and compiles its policy.
func (e *env) readRealm(ctx context.Context, file string, noSecrets bool) (*uma.RealmSpec, []realm.Notice, error) {
	spec, notices, err := realm.Check(file)
	if !noSecrets {
		spec, notices, err = realm.Read(file, e.getenv)
	}
	if err != nil {
		return nil, nil, err
	}
	unread, err := checkPolicy(ctx, spec.Realm.Name, spec.Realm.Policy)
	return spec, append(notices, unread...), err
}

// checkPolicy compiles a policy. The notices are about data files with other names, which
// may be misspelt.
func checkPolicy(ctx context.Context, name string, settings uma.PolicySettings) (notices []realm.Notice, err error) {
	if settings.FromService() {
		return nil, nil // the server examines the policies when it takes them
	}
	unread, err := rollout.CheckPolicy(ctx, name, settings)
	for _, file := range unread {
		notices = append(notices, realm.Notice{File: file, Text: "is not read: name data files data.json or data.yaml"})
	}
	return notices, err
}

func (e *env) printNotices(notices []realm.Notice) {
	for _, n := range notices {
		fmt.Fprintln(e.stderr, n)
	}
}

// applyFlags are those of `umpire realm apply`.
type applyFlags struct{ prune, dryRun bool }

// prepareDryRun makes a temporary data folder if there is no database, and returns a
// function that deletes it.
func (e *env) prepareDryRun(ctx context.Context) (done func() error, err error) {
	found, err := e.hasDatabase(ctx)
	if err != nil {
		return nil, err
	}
	if found {
		return func() error { return nil }, nil
	}
	if e.data, err = os.MkdirTemp("", "umpire-dry-run-"); err != nil {
		return nil, err
	}
	e.databaseURL, e.replicaURL, e.keyFile = "", "", ""
	return func() error { return os.RemoveAll(e.data) }, nil
}

// hasDatabase reports whether there is a database. That of an older version is refused: opening it
// to write would migrate it, which is a change.
func (e *env) hasDatabase(ctx context.Context) (bool, error) {
	if e.databaseURL == "" {
		if _, err := os.Stat(e.database()); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
	}
	err := e.withDatabase(ctx, func(uma.Store) error { return nil })
	if errors.Is(err, postgres.ErrNoSchema) {
		return false, nil
	}
	return err == nil, err
}

func (e *env) applyRealms(ctx context.Context, files []string, how applyFlags) (err error) {
	var specs []*uma.RealmSpec
	for _, file := range files {
		spec, notices, err := e.readRealm(ctx, file, false)
		e.printNotices(notices)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	if how.dryRun {
		done, err := e.prepareDryRun(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
	}
	n, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	reports := map[string]realmReport{}
	for _, spec := range specs {
		report, err := n.Core.Realms.ApplyRealm(ctx, spec, admin.ApplyOptions{
			Prune: how.prune, DryRun: how.dryRun, Progress: e.progress(spec.Realm.Name),
		})
		if errors.Is(err, uma.ErrPrune) {
			e.printInUse(report)
			return fmt.Errorf("realm %s was not changed: use --prune to delete them with what depends on them", spec.Realm.Name)
		}
		if err != nil {
			return err
		}
		reports[spec.Realm.Name] = newRealmReport(report)
		if !e.asJSON() {
			e.printReport(spec.Realm.Name, report)
		}
	}
	if e.asJSON() {
		return printJSON(e.stdout, reports)
	}
	return nil
}

// printInUse prints the objects that are missing from the file but still in use.
func (e *env) printInUse(r *uma.RealmReport) {
	fmt.Fprintln(e.stderr, "not applied: objects missing from the file are still in use:")
	for i, object := range r.Kept {
		var uses []string
		for _, kind := range slices.Sorted(maps.Keys(r.Dependents[i])) {
			more := ""
			if r.Dependents[i][kind] >= uma.MaxDependents {
				more = " or more"
			}
			uses = append(uses, fmt.Sprintf("%s: %d%s", kind, r.Dependents[i][kind], more))
		}
		fmt.Fprintf(e.stderr, "  %s (%s)\n", object, strings.Join(uses, ", "))
	}
}

// progress returns a function that prints the progress of large changes.
func (e *env) progress(realm string) func(done, total int) {
	return func(done, total int) {
		if total > 1000 {
			fmt.Fprintf(e.stderr, "realm %s: %d of %d objects\n", realm, done, total)
		}
	}
}

// A realmReport is a uma.RealmReport as JSON.
type realmReport struct {
	Created  []string `json:"created"`
	Updated  []string `json:"updated"`
	Adopted  []string `json:"adopted"`
	Removed  []string `json:"removed"`
	Disabled []string `json:"disabled"`
	Kept     []string `json:"kept"`
	Reset    []string `json:"reset"`

	Distrusted []distrustedRow `json:"distrusted"` // issuers that the file no longer has, and that have parties
}

type distrustedRow struct {
	Issuer  string `json:"issuer"` // alias
	URL     string `json:"issuer_url"`
	Parties int    `json:"parties"` // at most uma.MaxDependents are counted
}

func newRealmReport(r *uma.RealmReport) realmReport {
	rows := func(list []string) []string { return append([]string{}, list...) } // [], never null
	report := realmReport{
		rows(r.Created), rows(r.Updated), rows(r.Adopted), rows(r.Removed), rows(r.Disabled), rows(r.Kept), rows(r.Drifted),
		[]distrustedRow{},
	}
	for _, d := range r.Distrusted {
		report.Distrusted = append(report.Distrusted, distrustedRow{d.Alias, d.Issuer, d.Parties})
	}
	return report
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
	for _, d := range r.Distrusted {
		more := ""
		if d.Parties >= uma.MaxDependents {
			more = " or more"
		}
		fmt.Fprintf(e.stdout, "issuer %s (%s) is not trusted any more; its %d%s parties stay: `umpire party list --issuer %s --realm %s`\n",
			d.Alias, d.Issuer, d.Parties, more, d.Alias, name)
	}
	if changes == 0 {
		fmt.Fprintf(e.stdout, "realm %s: no changes\n", name)
	}
}
