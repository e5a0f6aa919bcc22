package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"example.com/umpire/node"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

func partyCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "party", Short: "List, disable, link and delete parties of trusted issuers", Args: cobra.NoArgs}
	cmd.AddCommand(listPartiesCommand(e), showPartyCommand(e), enablePartyCommand(e, false), enablePartyCommand(e, true),
		linkPartyCommand(e), unlinkPartyCommand(e), deletePartyCommand(e))
	return cmd
}

// A partyRow is a party in JSON. Of a local user issuer, issuer_url and subject are empty.
type partyRow struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	Type     string `json:"type"`   // user or service
	Issuer   string `json:"issuer"` // alias
	URL      string `json:"issuer_url"`
	Subject  string `json:"subject"`
	Email    string `json:"email"` // proved last
	Enabled  bool   `json:"enabled"`
	Trusted  bool   `json:"trusted"` // false: the realm file has its issuer no longer
}

// A partyDetails is a partyRow of show, and of what changes a party.
type partyDetails struct {
	partyRow
	Identities []identityRow `json:"identities"`
	Resources  int           `json:"resources"` // that it owns; at most uma.MaxDependents are counted
}

type identityRow struct {
	Issuer  string `json:"issuer"`
	URL     string `json:"issuer_url"`
	Subject string `json:"subject"`
	Linked  bool   `json:"linked"` // false: the party's own
	Trusted bool   `json:"trusted"`
}

// A deletedParty is the output of delete.
type deletedParty struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	Transferred int    `json:"resources_transferred"`
	Deleted     int    `json:"resources_deleted"`
	Requests    int    `json:"requests_deleted"` // granted ones too
	Policies    int    `json:"policies_changed"`
}

func newPartyRow(p *admin.Parties, u *uma.User) partyRow {
	row := partyRow{ID: u.ID, Username: u.Username, Type: "user", Enabled: u.Enabled, Trusted: true}
	row.Email, _ = u.Claims["email"].(string)
	if y := u.Identity; y != nil {
		row.Issuer, row.URL, row.Subject, row.Trusted = y.Alias, y.Issuer, y.Subject, p.Realm.Realm.Issuer(y.Issuer) != nil
		if y.Service {
			row.Type = "service"
		}
	}
	return row
}

func (r *partyRow) state() string {
	switch {
	case !r.Enabled:
		return "disabled"
	case !r.Trusted:
		return "issuer not trusted"
	}
	return "enabled"
}

func newPartyDetails(p *admin.Parties, found *admin.Party) *partyDetails {
	d := &partyDetails{partyRow: newPartyRow(p, found.User), Identities: []identityRow{}, Resources: found.Resources}
	for _, y := range found.Identities {
		linked := found.Identity == nil || *found.Identity != y
		d.Identities = append(d.Identities, identityRow{y.Alias, y.Issuer, y.Subject, linked, p.Realm.Realm.Issuer(y.Issuer) != nil})
	}
	return d
}

// parties returns the parties of a realm in a database.
func (e *env) parties(ctx context.Context, db uma.Store, name string) (*admin.Parties, error) {
	name, err := oneRealm(ctx, db, name)
	if err != nil {
		return nil, err
	}
	s, err := db.Snapshot(ctx, name, e.now())
	if err != nil {
		return nil, err
	}
	return &admin.Parties{Store: db, Realm: s}, nil
}

// readingParties calls f with the parties of a realm; open is withDatabase, or withLists.
func (e *env) readingParties(ctx context.Context, open func(context.Context, func(uma.Store) error) error, realm string, f func(p *admin.Parties) error) error {
	return open(ctx, func(db uma.Store) error {
		p, err := e.parties(ctx, db, realm)
		if err != nil {
			return err
		}
		return partyError(f(p))
	})
}

// changingParties is readingParties for f that writes.
func (e *env) changingParties(ctx context.Context, realm string, f func(p *admin.Parties) error) error {
	return e.withRealm(ctx, realm, func(n *node.Node, realm string) error {
		p, err := e.parties(ctx, n.Store, realm)
		if err != nil {
			return err
		}
		return partyError(f(p))
	})
}

// partyError makes a refusal an invalid command line.
func partyError(err error) error {
	if refusal, ok := errors.AsType[admin.PartyRefusal](err); ok {
		return invalid("%w", refusal)
	}
	return err
}

func listPartiesCommand(e *env) *cobra.Command {
	var realm, issuer string
	cmd := &cobra.Command{
		Use:   "list --realm NAME",
		Short: "List the parties of trusted issuers (safe while the server runs)",
		Long: `List the parties of trusted issuers by username, also those of issuers that the realm
trusts no longer. Groups and roles are in the tokens that a party presents, and not kept.`,
		Example: `  umpire party list --realm clinic --issuer staff`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.readingParties(cmd.Context(), e.withLists, realm, func(p *admin.Parties) error { return e.listParties(cmd.Context(), p, issuer) })
		},
	}
	e.realmFlag(cmd, &realm)
	cmd.Flags().StringVar(&issuer, "issuer", "", "`alias` of one issuer (default: all)")
	e.outputFlag(cmd)
	return cmd
}

// partyPage is how many parties are read at a time.
const partyPage = 200

func (e *env) listParties(ctx context.Context, p *admin.Parties, issuer string) error {
	list := &listing{w: e.stdout, asJSON: e.asJSON(), headings: []string{"USERNAME", "ID", "TYPE", "SUBJECT", "EMAIL", "STATE"}}
	for after, more := "", true; more; {
		page, err := p.Page(ctx, issuer, after, partyPage)
		if err != nil {
			return err
		}
		for _, u := range page {
			row := newPartyRow(p, u)
			if err := list.add(row, []string{row.Username, row.ID, row.Type, row.Subject, row.Email, row.state()}); err != nil {
				return err
			}
			after = u.Username
		}
		more = len(page) == partyPage
	}
	return list.end()
}

func showPartyCommand(e *env) *cobra.Command {
	var realm string
	cmd := &cobra.Command{
		Use:   "show NAME|ID --realm NAME",
		Short: "Show a party with its identities (safe while the server runs)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.readingParties(cmd.Context(), e.withDatabase, realm, func(p *admin.Parties) error {
				found, err := p.Find(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return e.printParty(newPartyDetails(p, found))
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

func (e *env) printParty(d *partyDetails) error {
	if e.asJSON() {
		return printJSON(e.stdout, d)
	}
	rows := [][]string{{"username", d.Username}, {"id", d.ID}, {"type", d.Type}, {"email", d.Email}, {"state", d.state()}, {"resources", strconv.Itoa(d.Resources)}}
	for _, y := range d.Identities {
		kind, trusted := "identity", ""
		if y.Linked {
			kind = "linked"
		}
		if !y.Trusted {
			trusted = " (not trusted)"
		}
		rows = append(rows, []string{kind, fmt.Sprintf("%s of %s, %s%s", y.Subject, y.Issuer, y.URL, trusted)})
	}
	return printRows(e.stdout, rows)
}

// changed prints a party after a change, or in a table what has changed.
func (e *env) changed(p *admin.Parties, found *admin.Party, format string, args ...any) error {
	if e.asJSON() {
		return printJSON(e.stdout, newPartyDetails(p, found))
	}
	_, err := fmt.Fprintf(e.stdout, format+"\n", args...)
	return err
}

func enablePartyCommand(e *env, enabled bool) *cobra.Command {
	var realm string
	use, short, long := "disable", "Disable a party (safe while the server runs)",
		`Disable a party. Its bearer tokens are refused and its RPTs and sessions end within a second.
What it owns and shares stays. An application is disabled in the realm file, by clients of its issuer.`
	if enabled {
		use, short, long = "enable", "Enable a party again (safe while the server runs)",
			`Enable a party that was disabled. RPTs and sessions of before stay ended.`
	}
	cmd := &cobra.Command{
		Use: use + " NAME|ID --realm NAME", Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.changingParties(cmd.Context(), realm, func(p *admin.Parties) error {
				found, err := p.Enable(cmd.Context(), args[0], enabled)
				if err != nil {
					return err
				}
				return e.changed(p, found, "party %s is %sd", found.Username, use)
			})
		},
	}
	e.realmFlag(cmd, &realm)
	e.outputFlag(cmd)
	return cmd
}

// identityFlags name an identity.
func (e *env) identityFlags(cmd *cobra.Command, realm, issuer, subject *string) {
	e.realmFlag(cmd, realm)
	cmd.Flags().StringVar(issuer, "issuer", "", "`alias` of the issuer")
	cmd.Flags().StringVar(subject, "subject", "", "`text` that the issuer's tokens have where map.subject says")
	e.outputFlag(cmd)
}

func linkPartyCommand(e *env) *cobra.Command {
	var realm, issuer, subject string
	cmd := &cobra.Command{
		Use:   "link NAME|ID --issuer ALIAS --subject TEXT --realm NAME",
		Short: "Link an identity to a party or a local user (safe while the server runs)",
		Long: `Link an identity at an issuer to a party, or to a local user. Claim tokens of that identity
are about the party then. A bearer token of an identity that is linked to another party speaks
for that party; one that is linked to a local user is for claims only.`,
		Example: `  umpire party link staff/amara --issuer council --subject 4711 --realm clinic`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needIdentity(issuer, subject); err != nil {
				return err
			}
			return e.changingParties(cmd.Context(), realm, func(p *admin.Parties) error {
				found, err := p.Link(cmd.Context(), args[0], issuer, subject)
				if err != nil {
					return err
				}
				return e.changed(p, found, "the subject %s of issuer %s is linked to %s", subject, issuer, found.Username)
			})
		},
	}
	e.identityFlags(cmd, &realm, &issuer, &subject)
	return cmd
}

func unlinkPartyCommand(e *env) *cobra.Command {
	var realm, issuer, subject string
	cmd := &cobra.Command{
		Use:   "unlink NAME|ID --issuer ALIAS --subject TEXT --realm NAME",
		Short: "Take a linked identity from a party or a local user (safe while the server runs)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needIdentity(issuer, subject); err != nil {
				return err
			}
			return e.changingParties(cmd.Context(), realm, func(p *admin.Parties) error {
				found, err := p.Unlink(cmd.Context(), args[0], issuer, subject)
				if err != nil {
					return err
				}
				return e.changed(p, found, "the subject %s of issuer %s is no longer linked to %s", subject, issuer, found.Username)
			})
		},
	}
	e.identityFlags(cmd, &realm, &issuer, &subject)
	return cmd
}

func needIdentity(issuer, subject string) error {
	switch {
	case issuer == "":
		return usageError("--issuer is missing")
	case subject == "":
		return usageError("--subject is missing")
	}
	return nil
}

func deletePartyCommand(e *env) *cobra.Command {
	var realm, to string
	var deleteResources bool
	cmd := &cobra.Command{
		Use:   "delete NAME|ID --transfer-to NAME|ID --realm NAME",
		Short: "Delete a party (safe while the server runs)",
		Long: `Delete a party with its identities, sessions, requests, and what was shared with it. Say what
becomes of the resources that it owns: --transfer-to gives them, with what is shared of them, to
another user; --delete-resources deletes them. Decision records stay.

Who comes back with a token of the same identity is somebody new. Disable a party to keep it out.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (to == "") != deleteResources {
				return usageError("give one of --transfer-to and --delete-resources")
			}
			return e.changingParties(cmd.Context(), realm, func(p *admin.Parties) error {
				u, report, err := p.Delete(cmd.Context(), args[0], to, deleteResources)
				if err != nil {
					return err
				}
				row := deletedParty{u.ID, u.Username, report.Transferred, report.Deleted, report.Requests, report.Shares}
				if e.asJSON() {
					return printJSON(e.stdout, row)
				}
				_, err = fmt.Fprintf(e.stdout, "party %s is deleted (resources transferred: %d, deleted: %d; requests deleted: %d; policies changed: %d)\n",
					u.Username, row.Transferred, row.Deleted, row.Requests, row.Policies)
				return err
			})
		},
	}
	e.realmFlag(cmd, &realm)
	cmd.Flags().StringVar(&to, "transfer-to", "", "`name` or id of the user that becomes the owner of its resources")
	cmd.Flags().BoolVar(&deleteResources, "delete-resources", false, "delete its resources with what is shared of them")
	e.outputFlag(cmd)
	return cmd
}
