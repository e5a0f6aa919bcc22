package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
)

// accessFlags are the flags of policy access.
type accessFlags struct {
	realm, user, resource, client, typ string
	all                                bool
	first, limit                       int
}

// maxAccess is the most users or resources that one run asks for.
const maxAccess = 10_000

func accessCommand(e *env) *cobra.Command {
	var f accessFlags
	cmd := &cobra.Command{
		Use:   "access --realm NAME --user USER|--resource RESOURCE",
		Short: "Say who may do what, and by which rule (safe while the server runs)",
		Long: `Ask the active policy, from the realm as it is stored, with its shares and requests, what a
user may do with each resource, or what each user may do with a resource, and list what is
granted with the rules that grant it. Nothing is recorded.

A user asks as if just signed in at a client, for all scopes of a resource at once, those of
its type among them, without a ticket and without claims. A client with a service account
is a user, too.`,
		Example: `  umpire policy access --realm photoz --user bob
  umpire policy access --realm photoz --resource "Holiday album" --all -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case f.realm == "":
				return usageError("--realm is missing")
			case f.user == "" && f.resource == "":
				return usageError("--user or --resource is missing")
			case f.first < 0:
				return invalid("--first: want 0 or a positive number, not %d", f.first)
			case f.limit < 1 || f.limit > maxAccess:
				return invalid("--limit: want a number from 1 to %d, not %d", maxAccess, f.limit)
			}
			return e.withDatabase(cmd.Context(), func(db uma.Store) error { return e.policyAccess(cmd.Context(), db, &f) })
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.user, "user", "", "a user, by `name` or id, or a client that asks for itself")
	fl.StringVar(&f.resource, "resource", "", "a resource, by `name` or id")
	fl.StringVar(&f.client, "client", "", "`client_id` that users ask through (default the first that users sign in at)")
	fl.StringVar(&f.typ, "type", "", "with --user: only resources with this `text` in their type")
	fl.BoolVar(&f.all, "all", false, "also list what is not granted")
	fl.IntVar(&f.first, "first", 0, "`number` of resources or users to skip")
	fl.IntVar(&f.limit, "limit", 200, "largest `number` of resources or users to ask for")
	e.outputFlag(cmd)
	return cmd
}

// An accessReport is the JSON output of policy access.
type accessReport struct {
	Revision string            `json:"revision"`
	Client   string            `json:"client"` // that users ask through
	Access   []audit.AccessRow `json:"access"`
	More     bool              `json:"more"` // there are more resources or users: see --first
}

func (e *env) policyAccess(ctx context.Context, db uma.Store, f *accessFlags) error {
	realm, err := e.storedRealm(ctx, db, f.realm)
	if err != nil {
		return err
	}
	client, err := realm.client(f.client)
	if err != nil {
		return err
	}
	policy, err := rollout.ActiveProber(ctx, db, &realm.snap.Realm)
	if errors.Is(err, rollout.ErrNoActive) {
		return fmt.Errorf("%w: start a server", err)
	}
	if err != nil {
		return err
	}
	q := &accessQuestion{
		storedRealm: realm, flags: f, client: client, policy: policy,
		access: audit.Access{Store: db, Realm: realm.snap, Describe: grant.Described{At: realm.at}, Workers: runtime.GOMAXPROCS(0)},
		report: accessReport{Revision: policy.Revision(), Client: client.ID, Access: []audit.AccessRow{}},
	}
	if f.user != "" {
		err = q.ofUser(ctx)
	} else {
		err = q.ofResource(ctx)
	}
	if err != nil {
		return err
	}
	if e.asJSON() {
		return printJSON(e.stdout, q.report)
	}
	return e.printAccess(&q.report)
}

// An accessQuestion collects the rows of a report.
type accessQuestion struct {
	*storedRealm
	flags  *accessFlags
	client *uma.Client
	policy audit.Prober
	access audit.Access
	report accessReport
}

func (q *accessQuestion) ask(ctx context.Context, who *party.Identity, server *uma.Client, resources []*uma.Resource) error {
	rows, err := q.access.Of(ctx, q.policy, who, server, resources)
	for _, row := range rows {
		if q.flags.all || row.Result == audit.Granted {
			q.report.Access = append(q.report.Access, row)
		}
	}
	return err
}

// ofUser asks what a user may do with a page of resources, or with one.
func (q *accessQuestion) ofUser(ctx context.Context) error {
	who, err := q.party(ctx, q.flags.user, q.client)
	if err != nil {
		return err
	}
	if q.flags.resource != "" {
		resource, server, err := q.resource(ctx, q.flags.resource)
		if err != nil {
			return err
		}
		return q.ask(ctx, who, server, []*uma.Resource{resource})
	}
	skip, left := q.flags.first, q.flags.limit
	for _, server := range q.servers() {
		var resources []*uma.Resource
		err := q.db.FindResources(ctx, server.Key, uma.ResourceFilter{Type: q.flags.typ}, 0, skip+left+1, func(r *uma.Resource) error {
			switch {
			case skip > 0:
				skip--
			case left > 0:
				left--
				resources = append(resources, r)
			default:
				q.report.More = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := q.ask(ctx, who, server, resources); err != nil {
			return err
		}
	}
	return nil
}

// ofResource asks what a page of users may do with a resource, and after the last of them what
// the clients may that ask for themselves.
func (q *accessQuestion) ofResource(ctx context.Context) error {
	resource, server, err := q.resource(ctx, q.flags.resource)
	if err != nil {
		return err
	}
	const page = 200
	skip, left, last := q.flags.first, q.flags.limit, ""
	one := func(who *party.Identity) error {
		switch {
		case skip > 0:
			skip--
		case left == 0:
			q.report.More = true
		default:
			left--
			return q.ask(ctx, who, server, []*uma.Resource{resource})
		}
		return nil
	}
	for !q.report.More {
		users, err := q.db.UsersAfter(ctx, q.snap.Realm.Key, last, page)
		if err != nil {
			return err
		}
		for _, user := range users {
			last = user.Username
			if !user.Enabled {
				continue
			}
			if err := one(grant.SignedIn(user, q.client, q.at)); err != nil {
				return err
			}
		}
		if len(users) < page {
			break
		}
	}
	for _, account := range audit.ServiceAccounts(q.snap) {
		if err := one(account); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) printAccess(r *accessReport) error {
	rows := make([][]string, len(r.Access))
	for i := range r.Access {
		row := &r.Access[i]
		rows[i] = []string{
			row.Username, cmp.Or(row.ResourceName, row.Resource), cmp.Or(row.Type, "-"), string(row.Scope), string(row.Result), placesText(row.Rules),
		}
	}
	if err := printTable(e.stdout, []string{"USER", "RESOURCE", "TYPE", "SCOPE", "RESULT", "RULES"}, rows); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "by policy revision %s, for users of client %s\n", r.Revision, r.Client)
	if r.More {
		fmt.Fprintln(e.stderr, "there are more: see --first and --limit")
	}
	return nil
}

// placesText lists rules with their places: photoz/friends-view (album.rego:17).
func placesText(rules []uma.RulePlace) string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = fmt.Sprintf("%s:%d", r.File, r.Line)
		if r.Rule != "" {
			texts[i] = fmt.Sprintf("%s (%s)", r.Rule, texts[i])
		}
	}
	return cmp.Or(strings.Join(texts, ", "), "-")
}
