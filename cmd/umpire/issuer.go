package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/umpire/realm"
	"example.com/umpire/uma"
)

func issuerCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "issuer", Short: "Check trusted issuers, and move one to another URL", Args: cobra.NoArgs}
	cmd.AddCommand(checkIssuersCommand(e), renameIssuerCommand(e))
	return cmd
}

func renameIssuerCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "rename ALIAS URL --realm NAME",
		Short: "Move an issuer with its parties to another URL (safe while the server runs)",
		Long: `Move an issuer with its parties to another URL. It is the only way: a realm file that gives
an alias to another URL is not applied, since whoever has that URL could be every party.

Its tokens end at once, and none is believed until a realm file with the new URL is applied.
Parties, and what they own and share, stay.`,
		Example: `  umpire issuer rename example https://login.example.com/ --realm photoz`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.renameIssuer(cmd.Context(), realm, args[0], args[1])
		},
	}
	cmd.Flags().StringVar(&realm, "realm", "", "`name` of the realm")
	e.outputFlag(cmd)
	return cmd
}

// A renamedIssuer is the JSON output of issuer rename.
type renamedIssuer struct {
	Realm  string `json:"realm"`
	Alias  string `json:"alias"`
	Issuer string `json:"issuer"`
}

func (e *env) renameIssuer(ctx context.Context, name, alias, url string) (err error) {
	if name == "" {
		return usageError("--realm is missing")
	}
	if err := realm.CheckIssuer(url); err != nil {
		return invalid("the URL %s: %w", url, err)
	}
	n, err := e.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	s, err := n.Store.Snapshot(ctx, name, e.now())
	if err != nil {
		return realmError(ctx, n.Store, name, err)
	}
	switch err := n.Store.RenameIssuer(ctx, s.Realm.Key, alias, url); {
	case errors.Is(err, uma.ErrNotFound):
		return invalid("realm %s has no issuer with the alias %q", name, alias)
	case errors.Is(err, uma.ErrConflict):
		return invalid("the issuer %s has another alias in realm %s: two issuers are not made one", url, name)
	case err != nil:
		return err
	}
	if e.asJSON() {
		return printJSON(e.stdout, renamedIssuer{name, alias, url})
	}
	fmt.Fprintf(e.stdout, "issuer %s of realm %s is now %s: apply a realm file that says so, until then no token of it is believed\n", alias, name, url)
	return nil
}
