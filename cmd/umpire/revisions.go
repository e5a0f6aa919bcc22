package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/node"
	"example.com/umpire/place"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// revisionCommands are the commands about the policies that are and were in force.
func revisionCommands(e *env) []*cobra.Command {
	return append([]*cobra.Command{
		policyStatusCommand(e), policyHistoryCommand(e), policyShowCommand(e), policyDiffCommand(e), policyExportCommand(e),
	}, activationCommands(e)...)
}

// activationCommands are those that change which policy is in force.
func activationCommands(e *env) []*cobra.Command {
	var realm, note, confirm string
	var revoke bool
	activate := &cobra.Command{
		Use:   "activate REVISION|FOLDER|BUNDLE",
		Short: "Put a policy in force and pin it (safe while the server runs)",
		Long: `Put the policies of a folder, a bundle file or a stored revision in force, and pin them:
changes of the realm's policy folder wait until ` + "`umpire policy release`" + `. A running
server follows within a second. The files of a stored revision are compiled with the
library of this umpire. Policies that do not compile are refused with exit code 3.

With --confirm 10m a running server puts the policy of the period before in force again,
unless ` + "`umpire policy confirm`" + ` comes within ten minutes.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := adminapi.Order{Realm: realm, Note: note, Revision: args[0]}
			var err error
			if confirm != "" {
				if o.Confirm, err = parseAge(confirm); err != nil || o.Confirm == 0 {
					return usageError("--confirm: want a duration between 10s and 7d, not %q", confirm)
				}
			}
			if isPath(args[0]) {
				o.Revision = ""
				if o.Path, err = filepath.Abs(args[0]); err != nil {
					return err
				}
			}
			return e.order(cmd.Context(), o, operations.Activate)
		},
	}
	activate.Flags().StringVar(&confirm, "confirm", "", "roll back unless it is confirmed within this `time`, from 10s to 7d")
	rollback := &cobra.Command{
		Use:   "rollback",
		Short: "Put the policy of the period before in force and pin it (safe while the server runs)",
		Long: `Put the policy of the period before the one in force in force again, and pin it, as
` + "`umpire policy activate`" + ` does. Twice goes back and forth. The realm's files are compiled
with the library of this umpire.

With --revoke, RPTs of the policy that is replaced are inactive at introspection from then
on. Resource servers that verify RPTs themselves accept them until they expire.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := adminapi.Order{Realm: realm, Note: note, Revoke: revoke}
			return e.order(cmd.Context(), o, operations.Rollback)
		},
	}
	for _, cmd := range []*cobra.Command{activate, rollback} {
		cmd.Flags().StringVar(&note, "note", "", "`text` for the history, such as who reviewed the policy")
	}
	rollback.Flags().BoolVar(&revoke, "revoke", false, "make RPTs of the policy that is replaced inactive")
	release := &cobra.Command{
		Use:   "release",
		Short: "Let the realm's policy folder change the policy again (safe while the server runs)",
		Long: `End the pin of the policy in force. A policy folder that changed since is then activated
within a second, unless policy.mode is manual. Content that was in force before a rollback
is not activated again until the folder changes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.release(cmd.Context(), realm) },
	}
	kept := &cobra.Command{
		Use:   "confirm",
		Short: "Keep a policy that was activated with --confirm (safe while the server runs)",
		Long: `Keep the policy in force, which ` + "`umpire policy activate --confirm`" + ` put in force for a time
only. It stays pinned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.confirm(cmd.Context(), realm) },
	}
	all := []*cobra.Command{activate, kept, rollback, release}
	for _, cmd := range all {
		e.realmFlag(cmd, &realm)
		e.serverFlags(cmd)
		e.outputFlag(cmd)
	}
	return all
}

func (e *env) realmFlag(cmd *cobra.Command, realm *string) {
	cmd.Flags().StringVar(realm, "realm", "", "`name` of the realm (default: the only one)")
}

// oneRealm returns the realm of that name, or the only one without a name.
func oneRealm(ctx context.Context, realms uma.Realms, name string) (string, error) {
	return adminapi.OneRealm(ctx, realms, name)
}

// withRealm opens the data folder for a command that changes the policy of a realm.
func (e *env) withRealm(ctx context.Context, name string, f func(n *node.Node, realm string) error) (err error) {
	n, err := e.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	realm, err := oneRealm(ctx, n.Store, name)
	if err != nil {
		return err
	}
	return f(n, realm)
}

// writing calls f with operations that change a realm.
func (e *env) writing(ctx context.Context, name string, f func(ops operations, realm string) error) error {
	if e.server != "" {
		return e.withServer(func(c *adminapi.Client) error {
			realm, err := c.Realm(ctx, name)
			if err != nil {
				return err
			}
			return f(c, realm)
		})
	}
	if e.tokenFile != "" {
		return errNoServer
	}
	return e.withRealm(ctx, name, func(n *node.Node, realm string) error {
		return f(&adminapi.Local{Store: n.Store, Rollout: n.Rollout, Now: e.now}, realm)
	})
}

// order runs an order of the user of this process, and prints what it changed.
func (e *env) order(ctx context.Context, o adminapi.Order, run func(operations, context.Context, adminapi.Order) (*adminapi.Change, error)) error {
	return e.writing(ctx, o.Realm, func(ops operations, realm string) error {
		o.Realm, o.By = realm, userName()
		change, err := run(ops, ctx, o)
		if refused, ok := errors.AsType[*admin.Error](err); ok && refused.Code == admin.Refused {
			fmt.Fprintln(e.stderr, refused)
			return errNotPassed
		}
		if err != nil {
			return err
		}
		if change.Asked != "" && change.Asked != change.Revision {
			fmt.Fprintf(e.stderr, "the files of revision %s, with the library of this umpire, are revision %s\n", change.Asked, change.Revision)
		}
		e.printWarnings(change.Report)
		if e.asJSON() {
			return printJSON(e.stdout, activatedRow{change.Revision, change.Previous})
		}
		_, err = fmt.Fprintf(e.stdout, "realm %s: revision %s is in force and pinned until `umpire policy release`; before: %s\n",
			realm, shortHash(change.Revision), shortHash(change.Previous))
		if err == nil && change.ConfirmBy != nil {
			_, err = fmt.Fprintf(e.stdout, "a running server rolls it back at %s, unless `umpire policy confirm --realm %s` comes before\n",
				change.ConfirmBy.Format(time.RFC3339), realm)
		}
		return err
	})
}

// printWarnings prints what the gates found in a policy that passed them.
func (e *env) printWarnings(report *rollout.Report) {
	if report == nil {
		return
	}
	for _, f := range report.Findings {
		fmt.Fprintln(e.stderr, (&place.Mistake{File: f.File, Line: f.Line, Text: "warning: " + f.Message}).Error())
	}
}

// An activatedRow is the JSON output of activate and rollback.
type activatedRow struct {
	Revision string `json:"revision"`
	Previous string `json:"previous"` // empty: none
}

func (e *env) confirm(ctx context.Context, name string) error {
	return e.writing(ctx, name, func(ops operations, realm string) error {
		period, err := ops.Confirm(ctx, realm, userName())
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return printJSON(e.stdout, period)
		}
		_, err = fmt.Fprintf(e.stdout, "realm %s: revision %s stays in force\n", realm, shortHash(period.Revision))
		return err
	})
}

func (e *env) release(ctx context.Context, name string) error {
	return e.writing(ctx, name, func(ops operations, realm string) error {
		period, err := ops.Release(ctx, realm)
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return printJSON(e.stdout, period)
		}
		_, err = fmt.Fprintf(e.stdout, "realm %s: revision %s is no longer pinned\n", realm, shortHash(period.Revision))
		return err
	})
}

// userName is who runs the command.
func userName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

// shortHash is what tables show of a revision; the commands find it by that.
func shortHash(hash string) string {
	if hash == "" {
		return "none"
	}
	return hash[:min(12, len(hash))]
}
