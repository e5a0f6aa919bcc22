package audit

import (
	"context"
	"fmt"
	"sync"

	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
	"example.com/umpire/uma/sets"
)

// A Prober is a policy that is asked what it would decide, and by which rules.
type Prober interface {
	Revision() string

	// Decide is as that of uma.Evaluator. The decisions have places.
	Decide(ctx context.Context, in *uma.Input) (*uma.Evaluation, error)
}

// AccessStore is what questions about a realm as it is stored read.
type AccessStore interface {
	uma.Viewer
	uma.Population
}

// An Access asks who may do what in a realm as it is stored, with its shares and requests.
// Each question is for all scopes that the resource has, itself or from its type.
type Access struct {
	Store    AccessStore
	Realm    *uma.Snapshot
	Describe grant.Described // Realm, Server and Party are set for each question

	Workers int // how many evaluate at once
}

// An AccessRow is the result for a scope.
type AccessRow struct {
	Subject      string          `json:"subject"`
	Username     string          `json:"username"`
	Client       string          `json:"client"`
	Resource     string          `json:"resource"`
	ResourceName string          `json:"resource_name"`
	Type         string          `json:"resource_type"`
	Owner        string          `json:"owner"` // subject id
	Scope        uma.Scope       `json:"scope"` // * for a resource without scopes
	Result       State           `json:"result"`
	Rules        []uma.RulePlace `json:"rules"`
}

// posePage is how many resources are read in one view.
const posePage = 100

// A posed question, and whose it is.
type posedFor struct {
	*grant.Posed
	party *party.Identity
}

// pose returns the questions what a party may do with resources of a resource server.
func (a *Access) pose(ctx context.Context, who *party.Identity, server *uma.Client, resources []*uma.Resource) (all []posedFor, err error) {
	described := a.Describe
	described.Realm, described.Party, described.Server = a.Realm, who, server
	asked, err := a.allScopes(ctx, server, resources)
	if err != nil {
		return nil, err
	}
	for len(asked) > 0 {
		page := asked[:min(posePage, len(asked))]
		asked = asked[len(page):]
		posed, err := uma.Read(ctx, a.Store, func(view uma.View) ([]*grant.Posed, error) { return described.Pose(ctx, view, page) })
		if err != nil {
			return nil, err
		}
		for _, p := range posed {
			all = append(all, posedFor{p, who})
		}
	}
	return all, nil
}

// allScopes are the permissions for all scopes of resources. Those of users also have the
// scopes of their type.
func (a *Access) allScopes(ctx context.Context, server *uma.Client, resources []*uma.Resource) ([]grant.DescribedPermission, error) {
	var types []string
	for _, r := range resources {
		if r.Owner != server.UUID && r.Type != "" {
			types = sets.Union(types, []string{r.Type})
		}
	}
	inherited, err := a.Store.ScopesOfTypes(ctx, server.Key, types)
	if err != nil {
		return nil, fmt.Errorf("read scopes of types: %w", err)
	}
	asked := make([]grant.DescribedPermission, len(resources))
	for i, r := range resources {
		asked[i] = grant.DescribedPermission{Resource: r, Scopes: r.Scopes}
		if r.Owner != server.UUID {
			asked[i].Scopes = sets.Union(r.Scopes, inherited[r.Type])
		}
	}
	return asked, nil
}

// ask has a policy decide a question, and returns a row for each scope.
func ask(ctx context.Context, policy Prober, p posedFor) []AccessRow {
	scopes := p.Scopes
	if len(scopes) == 0 {
		scopes = []uma.Scope{uma.Everything}
	}
	ev, err := policy.Decide(ctx, p.Input)
	failed := err != nil || ev.Failed != "" || p.Check(&ev.Output) != nil
	rows := make([]AccessRow, len(scopes))
	for i, scope := range scopes {
		rows[i] = AccessRow{
			Subject: p.party.Subject, Username: p.party.Username(), Client: p.party.Client.ID,
			Resource: string(p.Resource.ID), ResourceName: p.Resource.Name, Type: p.Resource.Type, Owner: p.Resource.Owner,
			Scope: scope, Result: Failed, Rules: []uma.RulePlace{},
		}
		if !failed {
			rows[i].Result, rows[i].Rules = probed(ev, scope)
		}
	}
	return rows
}

// probed is the result for a scope, and the rules that made it. They are unknown if the realm
// has its own entry point.
func probed(ev *uma.Evaluation, scope uma.Scope) (State, []uma.RulePlace) {
	for _, d := range ev.Decided {
		if d.Scope == scope {
			return stateOf[d.Decision], append([]uma.RulePlace{}, d.Places...)
		}
	}
	state := Refused
	switch {
	case covers(ev.Output.Granted, scope):
		state = Granted
	case covers(ev.Output.Submit, scope):
		state = Submit
	default:
		for i := range ev.Output.NeedInfo {
			if need := &ev.Output.NeedInfo[i]; len(need.Scopes) == 0 || covers(need.Scopes, scope) {
				state = NeedInfo
			}
		}
	}
	return state, []uma.RulePlace{}
}

var stateOf = map[string]State{"granted": Granted, "denied": Refused, "submit": Submit, "need_info": NeedInfo}

// each calls f for the questions, in some workers, and waits. It stops early when the context
// ends, with its error.
func (a *Access) each(ctx context.Context, n int, f func(i int)) error {
	var group sync.WaitGroup
	next := make(chan int)
	for range max(1, a.Workers) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	group.Wait()
	return ctx.Err()
}

// Of returns what a party may do with resources of a resource server: a row for each scope,
// in their order.
func (a *Access) Of(ctx context.Context, policy Prober, who *party.Identity, server *uma.Client, resources []*uma.Resource) ([]AccessRow, error) {
	posed, err := a.pose(ctx, who, server, resources)
	if err != nil {
		return nil, err
	}
	rows := make([][]AccessRow, len(posed))
	if err := a.each(ctx, len(posed), func(i int) { rows[i] = ask(ctx, policy, posed[i]) }); err != nil {
		return nil, err
	}
	var all []AccessRow
	for _, r := range rows {
		all = append(all, r...)
	}
	return all, nil
}
