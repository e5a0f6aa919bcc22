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
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
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
			o := rollout.Order{Realm: realm, Note: note}
			if confirm != "" {
				var err error
				if o.Confirm, err = parseAge(confirm); err != nil || o.Confirm == 0 {
					return usageError("--confirm: want a duration between 10s and 7d, not %q", confirm)
				}
			}
			return e.order(cmd.Context(), o, func(n *node.Node, o rollout.Order) (*rollout.Change, error) {
				return e.activate(cmd.Context(), n, o, args[0])
			})
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
			o := rollout.Order{Realm: realm, Note: note, Revoke: revoke}
			return e.order(cmd.Context(), o, func(n *node.Node, o rollout.Order) (*rollout.Change, error) {
				return n.Rollout.Rollback(cmd.Context(), o)
			})
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
	if err := e.needDatabase(); err != nil { // open would create one
		return err
	}
	n, err := e.open(ctx)
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

// order runs an order of the user of this process, and prints what it changed.
func (e *env) order(ctx context.Context, o rollout.Order, run func(*node.Node, rollout.Order) (*rollout.Change, error)) error {
	if err := o.Check(); err != nil {
		return usageError("%w", err)
	}
	return e.withRealm(ctx, o.Realm, func(n *node.Node, realm string) error {
		o.Realm, o.By = realm, userName()
		change, err := run(n, o)
		if refused, ok := errors.AsType[*rollout.RefusedError](err); ok {
			fmt.Fprintln(e.stderr, refused)
			return errNotPassed
		}
		if err != nil {
			return err
		}
		if change.Asked != "" && change.Asked != change.Revision {
			fmt.Fprintf(e.stderr, "the files of revision %s, with the library of this umpire, are revision %s\n", change.Asked, change.Revision)
		}
		if e.asJSON() {
			return printJSON(e.stdout, activatedRow{change.Revision, change.Previous})
		}
		_, err = fmt.Fprintf(e.stdout, "realm %s: revision %s is in force and pinned until `umpire policy release`; before: %s\n",
			realm, shortHash(change.Revision), shortHash(change.Previous))
		if err == nil && !change.ConfirmBy.IsZero() {
			_, err = fmt.Fprintf(e.stdout, "a running server rolls it back at %s, unless `umpire policy confirm --realm %s` comes before\n",
				change.ConfirmBy.UTC().Format(time.RFC3339), realm)
		}
		return err
	})
}

// An activatedRow is the JSON output of activate and rollback.
type activatedRow struct {
	Revision string `json:"revision"`
	Previous string `json:"previous"` // empty: none
}

// activate activates a folder, or a revision if there is no file of that name.
func (e *env) activate(ctx context.Context, n *node.Node, o rollout.Order, what string) (*rollout.Change, error) {
	if _, err := os.Stat(what); err == nil {
		path, err := filepath.Abs(what)
		if err != nil {
			return nil, err
		}
		o.Source = path
		return n.Rollout.ActivateFolder(ctx, o, path)
	}
	rev, err := adminapi.FindRevision(ctx, n.Store, o.Realm, what)
	if err != nil {
		return nil, err
	}
	return n.Rollout.ActivateRevision(ctx, o, rev)
}

func (e *env) confirm(ctx context.Context, name string) error {
	return e.withRealm(ctx, name, func(n *node.Node, realm string) error {
		period, err := n.Rollout.Confirm(ctx, realm, userName())
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return printJSON(e.stdout, adminapi.NewPeriod(*period))
		}
		_, err = fmt.Fprintf(e.stdout, "realm %s: revision %s stays in force\n", realm, shortHash(period.Revision))
		return err
	})
}

func (e *env) release(ctx context.Context, name string) error {
	return e.withRealm(ctx, name, func(n *node.Node, realm string) error {
		if err := n.Store.ReleasePolicy(ctx, realm); err != nil {
			return noPolicy(realm, err)
		}
		state, err := n.Store.PolicyState(ctx, realm)
		switch {
		case err != nil:
			return err
		case e.asJSON():
			return printJSON(e.stdout, adminapi.NewPeriod(*state.Active))
		}
		_, err = fmt.Fprintf(e.stdout, "realm %s: revision %s is no longer pinned\n", realm, shortHash(state.Active.Revision))
		return err
	})
}

// noPolicy replaces ErrNotFound by an error that says that the realm has no policy yet.
func noPolicy(realm string, err error) error {
	if errors.Is(err, uma.ErrNotFound) {
		return fmt.Errorf("realm %s has no policy in force yet: start `umpire serve`, or use `umpire policy activate FOLDER`", realm)
	}
	return err
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
