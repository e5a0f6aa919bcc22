package grant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
	"example.com/umpire/workers"
)

// atOnce is how many permissions of one request are evaluated at the same time,
// when there are more than that.
const atOnce = 8

// deadlines is how many evaluations' time a request has for all of its own.
const deadlines = 20

// decide asks the policy for each wanted permission, and holds each answer to
// the contract: a policy can narrow, never widen. All answers are on record
// whatever becomes of the request.
func (x *assessment) decide(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, deadlines*x.snap.Realm.Policy.Timeout)
	defer cancel()
	x.results = make([]result, len(x.wanted))
	x.events = make([]uma.Event, len(x.wanted))
	batch := x.NewSerial()
	path := strings.ReplaceAll(strings.TrimPrefix(x.snap.Realm.Policy.Entrypoint, "data."), ".", "/")
	common := x.commonInput()
	one := func(i int) {
		w, ev := x.wanted[i], &x.events[i]
		*ev = uma.Event{
			ID: x.NewSerial(), Batch: batch, Path: path, Input: x.input(common, w), Labels: x.Labels, Timestamp: x.now,
		}
		x.results[i] = x.evaluate(ctx, ev, w)
	}
	if len(x.wanted) <= atOnce {
		for i := range x.wanted {
			one(i)
		}
	} else {
		each(len(x.wanted), one)
	}
}

// each calls f for 0 to n-1, some at the same time.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// evaluate has the policy decide one permission, in a worker, and fills its event.
func (x *assessment) evaluate(ctx context.Context, ev *uma.Event, w *wanted) result {
	type answer struct {
		Eval *uma.Evaluation
		Err  error
	}
	policy, in := x.policy, ev.Input
	got, err := workers.Do(ctx, &x.evaluations, x.snap.Realm.Policy.Timeout, x.stuck(ctx, ev.ID), func() (answer, error) {
		eval, err := policy.Decide(ctx, in)
		return answer{eval, err}, nil
	})
	if err != nil {
		ev.Error = notEvaluated(err)
		return result{wanted: w, failed: err}
	}
	res := result{wanted: w}
	ev.Eval = got.Eval
	err = got.Err
	if err == nil && ev.Eval.Failed != "" {
		res.broken = true
		return res
	}
	if err == nil {
		ev.Output = &ev.Eval.Output
		err = res.accept(ev.Output, x.shares)
	}
	if err != nil {
		ev.Error = err.Error()
		return result{wanted: w, failed: err}
	}
	return res
}

// notEvaluated is the reason, for a record, why an evaluation has no result.
func notEvaluated(err error) string {
	switch _, panicked := errors.AsType[*workers.PanicError](err); {
	case panicked:
		return "panic in the policy engine"
	case errors.Is(err, workers.ErrStuck):
		return "the policy goes on after its deadline and cannot be stopped"
	}
	return "no time left to evaluate the policy"
}

// stuck reports an evaluation that runs after its deadline. Each of them occupies a
// processor until it ends.
func (x *assessment) stuck(ctx context.Context, id string) func(int) {
	realm := x.snap.Realm.Name
	return func(delta int) {
		if delta > 0 {
			x.Log(ctx, "a policy evaluation does not end at its deadline: it keeps a processor, and another worker takes its place", "realm", realm, "decision_id", id)
		} else {
			x.Log(ctx, "a policy evaluation has ended after all", "realm", realm, "decision_id", id)
		}
		if x.Stuck != nil {
			x.Stuck(realm, delta)
		}
	}
}

// accept takes an output for a permission if it keeps to the contract.
func (r *result) accept(out *uma.Output, shares []uma.Share) error {
	r.output = out
	var err error
	if r.granted, r.whole, err = r.expand("granted", out.Granted); err != nil {
		return err
	}
	var whole bool
	if r.submit, whole, err = r.expand("submit", out.Submit); err != nil {
		return err
	}
	if whole {
		r.submit = []uma.Scope{uma.Everything}
	}
	r.needs = out.NeedInfo
	return r.restsOn(out, shares)
}

// expand turns the scopes of an output into some of those asked for, in their
// order; "*" is all of them, and the one name for a resource without scopes.
func (r *result) expand(member string, scopes []uma.Scope) (some []uma.Scope, whole bool, err error) {
	for _, s := range scopes {
		if s != uma.Everything && !slices.Contains(r.scopes, s) {
			return nil, false, fmt.Errorf("policy: %s has %q, which was not asked for", member, s)
		}
	}
	if !slices.Contains(scopes, uma.Everything) {
		return sets.Within(r.scopes, scopes), false, nil
	}
	return r.scopes, len(r.scopes) == 0, nil
}

// restsOn notes the shares that the grant rests on.
func (r *result) restsOn(out *uma.Output, shares []uma.Share) error {
	if r.resource == nil {
		if len(out.RestsOn) > 0 {
			return errors.New("policy: rests_on without a resource")
		}
		return nil
	}
	for i := range shares {
		s := &shares[i]
		if s.Resource != r.resource.Key || !out.SharesUnknown && !slices.Contains(out.RestsOn, s.ID) {
			continue
		}
		r.rests = append(r.rests, s)
		r.shares = append(r.shares, uma.GrantShare{ID: s.ID, Version: s.Version, Scopes: sets.Within(r.granted, s.Scopes)})
	}
	if !out.SharesUnknown && len(r.rests) < len(out.RestsOn) {
		return errors.New("policy: rests_on has an id that is none of the shares")
	}
	return nil
}

// commonInput is what the inputs of all permissions of a request share.
func (x *assessment) commonInput() *uma.Input {
	roles, clientRoles, groups := x.Who.Roles()
	in := &uma.Input{
		Version: "1", Realm: x.snap.Realm.Name, Kind: "rpt",
		Subject: uma.InputSubject{
			ID: x.Who.Subject, Type: "user", Username: x.Who.Username(),
			Roles: roles, ClientRoles: clientRoles, Groups: groups, Attributes: x.Who.Attributes(),
			Scopes: strings.Fields(x.Who.Claims.Scope), ACR: x.Who.Claims.ACR, AuthTime: x.Who.Claims.AuthTime,
		},
		Claims: uma.InputClaims{Verified: x.verified, Pushed: x.pushed, Tokens: x.tokens},
		Client: uma.InputClient{
			ID: x.asking.ID, Public: x.asking.Public, Authenticated: x.proved, Scopes: x.asking.Scopes,
		},
		ResourceServer: x.server.ID,
		Context: uma.InputContext{
			Time: x.now.UTC().Format(time.RFC3339Nano), IP: x.caller.IP, UserAgent: x.caller.UserAgent,
			RequestID: x.caller.RequestID, TraceID: x.caller.TraceID,
		},
		Now: x.now,
	}
	if x.Who.User == nil {
		in.Subject.Type = "service"
	}
	if x.ticket != nil {
		id := sha256.Sum256(x.ticket.Hash)
		in.Ticket = &uma.InputTicket{
			ID:       "sha256:" + hex.EncodeToString(id[:]),
			IssuedAt: x.ticket.Issued.UTC().Format(time.RFC3339), Round: x.ticket.Round,
		}
	}
	return in
}

// input is what the policy is told of one permission.
func (x *assessment) input(common *uma.Input, w *wanted) *uma.Input {
	in := *common
	in.Scopes = w.scopes
	if w.resource == nil {
		return &in
	}
	r := w.resource
	in.Resource = &uma.InputResource{
		ID: r.ID, Name: r.Name, Type: r.Type, Owner: r.Owner, OwnerManaged: r.OwnerManaged,
		URIs: r.URIs, Scopes: r.Scopes, Attributes: r.Attributes,
	}
	for i := range x.shares {
		if s := &x.shares[i]; s.Resource == r.Key {
			in.Shares = append(in.Shares, uma.InputShare{
				ID: s.ID, Kind: s.Kind, Name: s.Name, Scopes: s.Scopes,
				Users: s.Users, Roles: s.Roles, Groups: s.Groups, Clients: s.Clients, Strategy: s.Strategy,
			})
		}
	}
	for i := range x.requests {
		if q := &x.requests[i]; q.Resource == r.Key {
			in.Requests = append(in.Requests, uma.InputRequest{
				ID: q.ID, State: q.State, Scopes: scopesAsked(q), Created: q.Created.UTC().Format(time.RFC3339),
			})
		}
	}
	return &in
}

func scopesAsked(q *uma.Request) []uma.Scope {
	if q.Scope == "" {
		return nil
	}
	return []uma.Scope{q.Scope}
}
