package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/node"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

func adminCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "Manage the tokens of the admin API", Args: cobra.NoArgs}
	token := &cobra.Command{Use: "token", Short: "Create, list and revoke tokens of the admin API", Args: cobra.NoArgs}
	token.AddCommand(createTokenCommand(e), listTokensCommand(e), revokeTokenCommand(e))
	cmd.AddCommand(token, listUsesCommand(e))
	return cmd
}

// A tokenRow is a token of the admin API in JSON.
type tokenRow struct {
	ID      string     `json:"id"`
	Realm   string     `json:"realm"`
	Name    string     `json:"name"`
	Can     string     `json:"can"` // read or policy
	Note    string     `json:"note"`
	By      string     `json:"by"`
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires"` // null: never
	Revoked *time.Time `json:"revoked"` // null: not revoked
	Active  bool       `json:"active"`
	Token   string     `json:"token,omitempty"` // of create
}

func (e *env) newTokenRow(t *uma.AdminToken) tokenRow {
	row := tokenRow{ID: t.ID, Realm: t.Realm, Name: t.Name, Can: string(t.Right), Note: t.Note, By: t.By, Created: t.Created.UTC(), Active: !t.Ended(e.now())}
	for _, m := range []struct {
		at time.Time
		to **time.Time
	}{{t.Expires, &row.Expires}, {t.Revoked, &row.Revoked}} {
		if !m.at.IsZero() {
			at := m.at.UTC()
			*m.to = &at
		}
	}
	return row
}

// state is the last column of a table of tokens.
func (r *tokenRow) state() string {
	switch {
	case r.Revoked != nil:
		return "revoked " + r.Revoked.Format(time.RFC3339)
	case r.Expires == nil:
		return "never expires"
	case r.Active:
		return "until " + r.Expires.Format(time.RFC3339)
	}
	return "expired " + r.Expires.Format(time.RFC3339)
}

func createTokenCommand(e *env) *cobra.Command {
	var realm, expires string
	var t uma.AdminToken
	cmd := &cobra.Command{
		Use:   "create --realm NAME --can read|policy --name NAME",
		Short: "Create a token of the admin API and print it (safe while the server runs)",
		Long: `Create a token with which commands reach a server over its admin listener (--server),
and print it. The database has a hash of it only: it cannot be shown again. A token is for
one realm. With --can read it may see policies and decision records, with --can policy it
may also change which policy is in force.`,
		Example: `  (umask 077; umpire admin token create --realm photoz --can policy --name deploy-bot --expires 90d > deploy-bot.token)`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case t.Name == "":
				return usageError("--name is missing")
			case t.Right == "":
				return usageError("--can is missing")
			}
			if expires != "" {
				if t.Expires, err = e.parseExpiry(expires); err != nil {
					return invalid("--expires: %w", err)
				}
			}
			return e.withRealm(cmd.Context(), realm, func(n *node.Node, realm string) error {
				t.Realm = realm
				return e.createToken(cmd.Context(), n, t)
			})
		},
	}
	e.realmFlag(cmd, &realm)
	f := cmd.Flags()
	f.StringVar(&t.Name, "name", "", "`name` of the token, which the history of policies has for what is done with it")
	f.StringVar((*string)(&t.Right), "can", "", "read or policy")
	f.StringVar(&t.Note, "note", "", "`text` for the list of tokens, such as where it is kept")
	f.StringVar(&expires, "expires", "", "`age` at which it expires, such as 90d, or a time or day (default never)")
	e.outputFlag(cmd)
	return cmd
}

// parseExpiry parses a time, a day, or a duration from now.
func (e *env) parseExpiry(text string) (time.Time, error) {
	if d, err := parseAge(text); err == nil {
		return e.now().Add(d), nil
	}
	return e.parseTime(text)
}

func (e *env) createToken(ctx context.Context, n *node.Node, t uma.AdminToken) error {
	t.By = userName()
	tokens := &admin.Tokens{Store: n.Store, Now: e.now, NewID: uuid.NewString}
	secret, err := tokens.Create(ctx, &t)
	switch {
	case errors.Is(err, uma.ErrConflict):
		return invalid("--name: realm %s has a token %s already: revoke it, or choose another name", t.Realm, t.Name)
	case errors.Is(err, admin.ErrInvalidToken):
		return invalid("%w", err)
	case err != nil:
		return err
	}
	row := e.newTokenRow(&t)
	if e.asJSON() {
		row.Token = secret
		return printJSON(e.stdout, row)
	}
	fmt.Fprintf(e.stderr, "token %s of realm %s can %s, %s; it is not shown again\n", t.Name, t.Realm, t.Right, row.state())
	_, err = fmt.Fprintln(e.stdout, secret)
	return err
}

func listTokensCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens of the admin API, without their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.listTokens(cmd.Context(), db, realm) })
		},
	}
	cmd.Flags().StringVar(&realm, "realm", "", "`name` of one realm (default: all)")
	e.outputFlag(cmd)
	return cmd
}

func (e *env) listTokens(ctx context.Context, db uma.Store, realm string) error {
	if err := knownRealm(ctx, db, realm); err != nil {
		return err
	}
	tokens, err := db.ListAdminTokens(ctx, realm)
	if err != nil {
		return err
	}
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: []string{"ID", "REALM", "NAME", "CAN", "CREATED", "BY", "STATE", "NOTE"}}
	for i := range tokens {
		row := e.newTokenRow(&tokens[i])
		cells := []string{row.ID, row.Realm, row.Name, row.Can, row.Created.Format(time.RFC3339), row.By, row.state(), row.Note}
		if err := list.add(row, cells); err != nil {
			return err
		}
	}
	return list.end()
}

// knownRealm returns an error if there is a name but no realm with it.
func knownRealm(ctx context.Context, realms uma.Realms, name string) error {
	if name == "" {
		return nil
	}
	_, err := oneRealm(ctx, realms, name)
	return err
}

func revokeTokenCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "revoke ID|NAME",
		Short: "Revoke a token of the admin API (safe while the server runs)",
		Long:  `Revoke a token of the admin API. The next request with it is refused.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.withRealm(cmd.Context(), realm, func(n *node.Node, realm string) error {
				t, err := n.Store.RevokeAdminToken(cmd.Context(), realm, args[0], e.now())
				switch {
				case errors.Is(err, uma.ErrNotFound):
					return invalid("realm %s has no token %q: `umpire admin token list` lists them", realm, args[0])
				case err != nil:
					return err
				case e.asJSON():
					return printJSON(e.stdout, e.newTokenRow(t))
				}
				_, err = fmt.Fprintf(e.stdout, "token %s of realm %s is revoked\n", t.Name, realm)
				return err
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

// A useRow is a use of a token of the admin API in JSON.
type useRow struct {
	Seq       int64     `json:"seq"`
	Time      time.Time `json:"time"`
	Realm     string    `json:"realm"`
	Token     string    `json:"token"` // id
	Name      string    `json:"name"`  // of the token
	Operation string    `json:"operation"`
	Detail    string    `json:"detail"`
	Outcome   string    `json:"outcome"` // ok or an error code; empty: it did not end
	IP        string    `json:"ip"`
	Request   string    `json:"request_id"`
}

func listUsesCommand(e *env) *cobra.Command {
	var f uma.AdminUseFilter
	var limit int
	cmd := &cobra.Command{
		Use:   "uses",
		Short: "List what tokens of the admin API were used for, newest first",
		Long: fmt.Sprintf(`List what tokens of the admin API were used for, newest first. Kept are the uses of the
last %d days, and of each token at most %d.`, int(uma.KeepAdminUses.Hours())/24, uma.AdminUsesToken),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return invalid("--limit: want a positive number, not %d", limit)
			}
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.listUses(cmd.Context(), db, f, limit) })
		},
	}
	cmd.Flags().StringVar(&f.Realm, "realm", "", "`name` of one realm (default: all)")
	cmd.Flags().StringVar(&f.Token, "token", "", "`id` of one token")
	cmd.Flags().IntVar(&limit, "limit", 50, "largest `number` of uses")
	e.outputFlag(cmd)
	return cmd
}

func (e *env) listUses(ctx context.Context, db uma.Store, f uma.AdminUseFilter, limit int) error {
	if err := knownRealm(ctx, db, f.Realm); err != nil {
		return err
	}
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: []string{"TIME", "REALM", "TOKEN", "OPERATION", "OUTCOME", "DETAIL", "IP", "REQUEST"}}
	for limit > 0 {
		page, err := db.FindAdminUses(ctx, f, min(limit, adminapi.MostRows))
		if err != nil {
			return err
		}
		for _, u := range page {
			row := useRow{u.Seq, u.Time.UTC(), u.Realm, u.Token, u.Name, u.Operation, u.Detail, u.Outcome, u.IP, u.Request}
			cells := []string{row.Time.Format(time.RFC3339), u.Realm, u.Name, u.Operation, cmp.Or(u.Outcome, "not ended"), u.Detail, u.IP, u.Request}
			if err := list.add(row, cells); err != nil {
				return err
			}
			f.Before = u.Seq
		}
		if limit -= len(page); len(page) < adminapi.MostRows {
			break
		}
	}
	return list.end()
}
