package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
)

// A Reach compares what parties may do under two policies, whether or not anybody ever asked:
// a sample of users and of resources, each user with each resource, all scopes.
type Reach struct {
	Access
	Client           *uma.Client // that users ask through
	Users, Resources int         // the most that are sampled; resources of all resource servers
	Seed             uint64
	Limit            int // of the changes in the report

	Progress func(done, total int) // may be nil
}

// A ReachReport is how two policies differ.
type ReachReport struct {
	Baseline  string     `json:"baseline"` // the hash of a revision
	Users     int        `json:"users"`    // that were sampled, with the clients that may ask for themselves
	Resources int        `json:"resources"`
	Asked     int        `json:"asked"` // scopes
	Failed    int        `json:"failed"`
	Granted   int        `json:"newly_granted"`
	Refused   int        `json:"newly_refused"`
	Different int        `json:"different"`
	Changes   []ReachRow `json:"changes"` // those newly granted first
	Omitted   int        `json:"changes_omitted"`
}

// A ReachRow is a scope that would be decided otherwise.
type ReachRow struct {
	Subject      string          `json:"subject"`
	Username     string          `json:"username"`
	Client       string          `json:"client"`
	Resource     string          `json:"resource"`
	ResourceName string          `json:"resource_name"`
	Scope        uma.Scope       `json:"scope"`
	Was          State           `json:"was"`
	Now          State           `json:"now"`
	RulesWas     []uma.RulePlace `json:"rules_was"`
	RulesNow     []uma.RulePlace `json:"rules_now"`
}

// Run asks both policies.
func (r *Reach) Run(ctx context.Context, baseline, candidate Prober) (*ReachReport, error) {
	parties, err := r.parties(ctx)
	if err != nil {
		return nil, err
	}
	sample, err := r.sample(ctx)
	if err != nil {
		return nil, err
	}
	changes := &reachChanges{limit: r.Limit, report: ReachReport{Baseline: baseline.Revision(), Users: len(parties)}}
	for _, of := range sample {
		changes.report.Resources += len(of.resources)
	}
	for i, who := range parties {
		for _, of := range sample {
			posed, err := r.pose(ctx, who, of.server, of.resources)
			if err != nil {
				return nil, err
			}
			was, now := make([][]AccessRow, len(posed)), make([][]AccessRow, len(posed))
			err = r.each(ctx, len(posed), func(k int) {
				was[k], now[k] = ask(ctx, baseline, posed[k]), ask(ctx, candidate, posed[k])
			})
			if err != nil {
				return nil, err
			}
			for k := range posed {
				for s := range was[k] {
					changes.compare(&was[k][s], &now[k][s])
				}
			}
		}
		if r.Progress != nil {
			r.Progress(i+1, len(parties))
		}
	}
	return changes.end(), nil
}

// parties are the sampled users, and the clients that may ask for themselves.
func (r *Reach) parties(ctx context.Context) ([]*party.Identity, error) {
	users, err := r.Store.SampleUsers(ctx, r.Realm.Realm.Key, r.Users, r.Seed)
	if err != nil {
		return nil, fmt.Errorf("sample users: %w", err)
	}
	var parties []*party.Identity
	for _, u := range users {
		parties = append(parties, grant.SignedIn(u, r.Client, r.Describe.At))
	}
	return append(parties, ServiceAccounts(r.Realm)...), nil
}

// ServiceAccounts are the clients of a realm that may ask for themselves, by client_id.
func ServiceAccounts(realm *uma.Snapshot) (accounts []*party.Identity) {
	for _, id := range slices.Sorted(maps.Keys(realm.Clients)) {
		if c := realm.Clients[id]; c.Enabled {
			if self, err := grant.SignedInAsItself(c); err == nil {
				accounts = append(accounts, self)
			}
		}
	}
	return accounts
}

// A sampled has the resources that were sampled of a resource server.
type sampled struct {
	server    *uma.Client
	resources []*uma.Resource
}

// sample samples the resources of all resource servers, as many of each as there is room for.
func (r *Reach) sample(ctx context.Context) (all []sampled, err error) {
	var servers []*uma.Client
	for _, id := range slices.Sorted(maps.Keys(r.Realm.Clients)) {
		if c := r.Realm.Clients[id]; c.Enabled && c.ResourceServer {
			servers = append(servers, c)
		}
	}
	left := r.Resources
	for i, server := range servers {
		share := (left + len(servers) - i - 1) / (len(servers) - i)
		found, err := r.Store.SampleResources(ctx, server.Key, share, r.Seed)
		if err != nil {
			return nil, fmt.Errorf("sample resources: %w", err)
		}
		left -= len(found)
		all = append(all, sampled{server, found})
	}
	return all, nil
}

// reachChanges collects the changes, those newly granted apart.
type reachChanges struct {
	limit          int
	report         ReachReport
	granted, other []ReachRow
}

func (c *reachChanges) compare(was, now *AccessRow) {
	r := &c.report
	r.Asked++
	if was.Result == now.Result {
		return
	}
	list := &c.other
	switch {
	case now.Result == Failed:
		r.Failed++
	case now.Result == Granted:
		r.Granted++
		list = &c.granted
	case was.Result == Granted:
		r.Refused++
	default:
		r.Different++
	}
	if len(*list) < c.limit {
		*list = append(*list, ReachRow{
			was.Subject, was.Username, was.Client, was.Resource, was.ResourceName, was.Scope, was.Result, now.Result, was.Rules, now.Rules,
		})
	}
}

func (c *reachChanges) end() *ReachReport {
	r := &c.report
	r.Changes = append(append([]ReachRow{}, c.granted...), c.other...)
	r.Changes = r.Changes[:min(len(r.Changes), c.limit)]
	r.Omitted = r.Granted + r.Refused + r.Different + r.Failed - len(r.Changes)
	return r
}
