package grant

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// A Described is a request that is described, not made: no token, ticket or secret was
// presented. The policy is asked about it as about a request without a ticket, by the same
// code, from the realm as it is stored. Nothing is recorded.
type Described struct {
	Realm  *uma.Snapshot
	Party  *party.Identity // SignedIn, or a service account; its client sends the request
	Server *uma.Client     // the resource server
	At     time.Time

	Pushed        map[string][]string // claims that the client pushes
	Verified      map[string]any      // claims that a signed token would prove
	IP, UserAgent string
}

// SignedIn returns the identity of a user who has just signed in at a client, without asking
// for scopes.
func SignedIn(user *uma.User, client *uma.Client, at time.Time) *party.Identity {
	return asSignedIn(&party.Identity{Subject: user.ID, User: user, Client: client}, &uma.Claims{AuthTime: at.Unix()})
}

// SignedInAsItself returns the identity of a client that has just obtained a token for
// itself. It is refused as the grant of that token would be.
func SignedInAsItself(client *uma.Client) (*party.Identity, error) {
	id, err := party.ServiceAccount(client)
	if err != nil {
		return nil, err
	}
	return asSignedIn(id, &uma.Claims{}), nil
}

func asSignedIn(id *party.Identity, claims *uma.Claims) *party.Identity {
	id.Claims = claims
	claims.ACR, claims.Scope = party.BasicACR, party.GrantedScope(id, "")
	return id
}

// A DescribedPermission is what a described request asks for.
type DescribedPermission struct {
	Resource *uma.Resource // of the Server; nil: scopes without a resource
	Scopes   []uma.Scope   // empty: all that the resource has
}

// A Posed is a permission as the policy is asked for it.
type Posed struct {
	Resource *uma.Resource
	Scopes   []uma.Scope // that are asked for: those that the resource does not have are left out
	Input    *uma.Input

	question   *question
	permission *permission
}

// Pose returns the policy's input for each permission: with the shares of the resource, and
// with the party's requests to its owner. It leaves out a permission whose resource has none
// of the scopes: a request for it gets no decision.
func (d *Described) Pose(ctx context.Context, view uma.View, permissions []DescribedPermission) ([]*Posed, error) {
	q := &question{
		req: &Request{}, caller: &party.Caller{HasBearer: true, IP: d.IP, UserAgent: d.UserAgent}, realm: d.Realm, now: d.At,
		asker: asker{party: d.Party, client: d.Party.Client}, server: d.Server,
		claims: claims{pushed: maps.Clone(d.Pushed), verified: d.Verified},
	}
	q.claims.pushed = withoutReserved(q.claims.pushed)
	r := &resolver{question: q, view: view}
	for _, asked := range permissions {
		p, ok := permission{scopes: asked.Scopes, requested: true, named: true}, true
		if asked.Resource != nil {
			var err error
			if p, ok, err = r.permissionOn(ctx, asked.Resource, asked.Scopes); err != nil {
				return nil, err
			}
		}
		if ok {
			p.named, p.asked = true, p.scopes
			q.requested.permissions = append(q.requested.permissions, &p)
		}
	}
	var err error
	if q.shares, q.requests, err = readShares(ctx, view, q); err != nil {
		return nil, err
	}
	common := commonInput(q)
	posed := make([]*Posed, len(q.requested.permissions))
	for i, p := range q.requested.permissions {
		posed[i] = &Posed{p.resource, p.scopes, inputOf(q, common, p), q, p}
	}
	return posed, nil
}

// Check returns an error if the policy's answer breaks the contract: such an answer grants
// nothing.
func (p *Posed) Check(out *uma.Output) error {
	d := &decision{permission: p.permission}
	if err := d.accept(out, p.question.shares); err != nil {
		return fmt.Errorf("%w: the grant would answer with an error", err)
	}
	return nil
}

// withoutReserved removes claims that nobody may push: names from which Keycloak's policies
// read facts of the request.
func withoutReserved(pushed map[string][]string) map[string][]string {
	if pushed == nil {
		return map[string][]string{}
	}
	maps.DeleteFunc(pushed, func(name string, _ []string) bool { return strings.HasPrefix(name, "kc.") })
	return pushed
}
