package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/uma"
)

func keysCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "List and rotate signing keys", Args: cobra.NoArgs}
	var realm string
	list := &cobra.Command{
		Use: "list", Short: "List published signing keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.listKeys(cmd.Context(), db, realm) })
		},
	}
	list.Flags().StringVar(&realm, "realm", "", "`name` of one realm (default: all)")
	e.outputFlag(list)
	rotate := &cobra.Command{
		Use:   "rotate --realm NAME",
		Short: "Create a new signing key (safe while the server runs)",
		Long: `Create a new signing key for a realm (safe while the server runs). A running server
uses it within a second. The old key stays published until the last token that it signed
has expired.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.rotateKey(cmd.Context(), realm) },
	}
	rotate.Flags().StringVar(&realm, "realm", "", "`name` of the realm")
	e.outputFlag(rotate)
	cmd.AddCommand(list, rotate)
	return cmd
}

// A keyRow is a signing key in the output of the commands.
type keyRow struct {
	Realm   string     `json:"realm"`
	KID     string     `json:"kid"`
	Alg     string     `json:"alg"`
	Active  bool       `json:"active"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty"`
}

func newKeyRow(realm string, k uma.SigningKey) keyRow {
	row := keyRow{Realm: realm, KID: k.KID, Alg: k.Alg, Active: k.Active, Created: k.Created.UTC()}
	if !k.Active {
		t := k.Expires.UTC()
		row.Expires = &t
	}
	return row
}

func (e *env) printKeys(rows []keyRow) error {
	if e.asJSON() {
		return printJSON(e.stdout, rows)
	}
	var table [][]string
	for _, k := range rows {
		state := "signs"
		if !k.Active {
			state = "published until " + k.Expires.Format(time.RFC3339)
		}
		table = append(table, []string{k.Realm, k.KID, k.Alg, k.Created.Format(time.RFC3339), state})
	}
	return printTable(e.stdout, []string{"REALM", "KID", "ALG", "CREATED", "STATE"}, table)
}

func (e *env) listKeys(ctx context.Context, store uma.Realms, realm string) error {
	names := []string{realm}
	if realm == "" {
		var err error
		if names, err = store.RealmNames(ctx); err != nil {
			return err
		}
	}
	rows := []keyRow{}
	for _, name := range names {
		s, err := store.Snapshot(ctx, name, e.now())
		if err != nil {
			return realmError(ctx, store, name, err)
		}
		for _, k := range s.Keys {
			rows = append(rows, newKeyRow(name, k))
		}
	}
	return e.printKeys(rows)
}

func (e *env) rotateKey(ctx context.Context, realm string) (err error) {
	if realm == "" {
		return usageError("--realm is missing")
	}
	n, err := e.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	k, err := n.Core.Realms.RotateKey(ctx, realm)
	if err != nil {
		return realmError(ctx, n.Store, realm, err)
	}
	return e.printKeys([]keyRow{newKeyRow(realm, k)})
}

// realmError replaces ErrNotFound of a realm by an error that lists the realms there are.
func realmError(ctx context.Context, realms uma.Realms, name string, err error) error {
	return adminapi.RealmError(ctx, realms, name, err)
}
