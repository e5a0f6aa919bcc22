package party

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
)

// lifetime is an RPT's: the realm's, or the shortest that the policy asked for.
func RptLifetime(s *uma.Snapshot, grants []uma.Grant) time.Duration {
	d := s.Realm.Lifetimes.RPT
	for _, g := range grants {
		if g.TTL > 0 {
			d = min(d, time.Duration(g.TTL)*time.Second)
		}
	}
	return d
}

// plain is how introspection shows the claims of an RPT: of any age as today's,
// with what is left of its permissions.
func plain(c *uma.Claims, left []uma.Grant) *uma.Claims {
	shown := *c
	shown.Authorization = &uma.Authorization{Permissions: uma.GrantedPermissions(left)}
	shown.Type, shown.Permissions, shown.AccessToken = uma.TypeBearer, nil, ""
	return &shown
}

// standing returns what is left of the permissions of an RPT: a withdrawal
// writes one row, and shows here wherever the token is seen again. With an owner
// it returns those for what that owns.
func (a *Service) standing(ctx context.Context, view uma.View, s *uma.Snapshot, claims *uma.Claims, owner string) ([]uma.Grant, error) {
	rpt, err := view.RPT(ctx, s.Realm.Key, claims.ID)
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read rpt: %w", err)
	}
	if server := s.ByKey[rpt.Server]; server == nil || !server.Enabled || !server.ResourceServer {
		return nil, nil
	}
	now, err := readStanding(ctx, view, rpt)
	if err != nil {
		return nil, err
	}
	var left []uma.Grant
	for _, g := range rpt.Permissions {
		if r := now.Resources[g.Resource]; owner != "" && (r == nil || r.Owner != owner) {
			continue
		}
		if g, ok := now.left(g); ok {
			left = append(left, g)
		}
	}
	return left, nil
}

// readStanding reads what is left of what an RPT rests on. Scopes that a resource
// borrows from its type stand as long as the type lends them.
func readStanding(ctx context.Context, view uma.View, rpt *uma.RPT) (*validity, error) {
	now, err := view.Standing(ctx, rpt.Server, rpt.Permissions)
	if err != nil {
		return nil, fmt.Errorf("read what an rpt rests on: %w", err)
	}
	for _, g := range rpt.Permissions {
		r := now.Resources[g.Resource]
		if r == nil || len(g.Inherited) == 0 {
			continue
		}
		lent, err := view.TypeScopes(ctx, rpt.Server, r.Type, g.Inherited)
		if err != nil {
			return nil, fmt.Errorf("read scopes of type: %w", err)
		}
		all := *r
		all.Scopes = sets.Union(r.Scopes, lent)
		now.Resources[g.Resource] = &all
	}
	return (*validity)(now), nil
}

// A validity says what is left of what grants rest on.
type validity uma.Standing

// left returns what still stands of a grant. A scope goes with the resource, or
// with its place there, with the ownership of whom it was granted to as the owner,
// and with the last of the shares that covered it. What
// had scopes and has none left is gone: empty is not all.
func (n *validity) left(g uma.Grant) (uma.Grant, bool) {
	var resource *uma.Resource
	if g.Resource != "" {
		resource = n.Resources[g.Resource]
		if resource == nil || g.Owner != "" && g.Owner != resource.Owner {
			return g, false
		}
	}
	if len(g.Scopes) == 0 { // as a whole, while there is nothing more to tell apart
		return g, (resource == nil || len(resource.Scopes) == 0) && n.covered(g, "")
	}
	var scopes []uma.Scope
	for _, scope := range g.Scopes {
		has := n.Scopes[scope]
		if resource != nil {
			has = slices.Contains(resource.Scopes, scope)
		}
		if has && n.covered(g, scope) {
			scopes = append(scopes, scope)
		}
	}
	g.Scopes = scopes
	return g, len(scopes) > 0
}

// share returns a share that a grant rests on as it is now; nil when it is gone, or
// no longer for those whom it was for.
func (n *validity) share(s uma.GrantShare) *uma.Share {
	if now := n.Shares[s.ID]; now != nil && now.Audience <= s.Version {
		return now
	}
	return nil
}

// covered reports whether a scope, or with "" the resource as a whole, still
// has a share that it was granted for, if it was granted for one. A share that
// covers none of the scopes holds up all of them: the policy has its reasons why
// the grant rests on it.
func (n *validity) covered(g uma.Grant, scope uma.Scope) bool {
	covers := func(scopes []uma.Scope) bool {
		return scope == "" && len(scopes) == 0 || slices.Contains(scopes, scope)
	}
	rests := false
	for _, s := range g.Shares {
		if len(s.Scopes) == 0 && len(g.Scopes) > 0 && n.share(s) == nil {
			return false
		}
	}
	for _, s := range g.Shares {
		if !covers(s.Scopes) {
			continue
		}
		rests = true
		if now := n.share(s); now != nil && covers(now.Scopes) {
			return true
		}
	}
	return !rests
}

// unmoved reports whether every row that a grant rests on is as it was.
func (n *validity) unmoved(g uma.Grant) bool {
	if g.Resource != "" {
		if r := n.Resources[g.Resource]; r == nil || r.Version != g.Version {
			return false
		}
	}
	for _, s := range g.Shares {
		if now := n.share(s); now == nil || now.Version != s.Version {
			return false
		}
	}
	left, ok := n.left(g)
	return ok && len(left.Scopes) == len(g.Scopes)
}

// An Introspection is what a resource server learns of a token (RFC 7662 §2.2).
type Introspection struct {
	Active      bool
	Claims      *uma.Claims // the permissions of an RPT are those that are left
	Username    string
	Realm       string
	Permissions []uma.Grant // of an RPT, what is left of them; nil for any other token
}

// The token type hints of the introspection endpoint (RFC 7662 §2.1; the last
// is Keycloak's).
var introspectionHints = []string{"", "access_token", "refresh_token", "requesting_party_token"}

// Introspect tells a confidential client about a token that names it in `aud`
// or `azp`. Of any other token, and of one that is no good, it says only that.
func (a *Service) Introspect(ctx context.Context, s *uma.Snapshot, client *uma.Client, token, hint string) (*Introspection, error) {
	if client.Public {
		return nil, uma.Refuse(uma.UnauthorizedClient, "Client not allowed.", nil)
	}
	return a.IntrospectFor(ctx, s, client, "", token, hint)
}

// IntrospectFor tells a client about a token; with an owner, only of permissions for
// what that owns.
func (a *Service) IntrospectFor(ctx context.Context, s *uma.Snapshot, client *uma.Client, owner, token, hint string) (_ *Introspection, err error) {
	switch {
	case !slices.Contains(introspectionHints, hint):
		return nil, uma.Refuse(uma.InvalidRequest, "Unsupported token type.", nil)
	case token == "":
		return nil, uma.Refuse(uma.InvalidRequest, "Token not provided.", nil)
	}
	inactive := &Introspection{}
	claims, err := a.Verifier.Verify(ctx, s, a.PublicURL.Realm(s), token)
	if errors.Is(err, uma.ErrUnverified) {
		claims, err = a.Verifier.VerifyRefresh(ctx, s, a.PublicURL.Realm(s), token)
	}
	if err != nil && !errors.Is(err, uma.ErrUnverified) {
		return nil, fmt.Errorf("verify token: %w", err)
	}
	if err != nil || claims.Expires <= a.Now().Unix() || claims.Type == uma.TypeID ||
		claims.AuthorizedParty != client.ID && !slices.Contains(claims.Audience, client.ID) {
		return inactive, nil
	}
	view, err := a.Store.View(ctx)
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	defer uma.CloseView(view, &err)
	id, err := a.Identify(ctx, view, s, claims)
	switch {
	case errors.Is(err, ErrInactive):
		return inactive, nil
	case err != nil:
		return nil, err
	}
	if claims.Type == uma.TypeRefresh {
		_, spent, err := view.RefreshToken(ctx, s.Realm.Key, uma.Digest(claims.Handle), a.Now())
		if errors.Is(err, uma.ErrNotFound) || spent {
			return inactive, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read refresh token: %w", err)
		}
	}
	out := &Introspection{Active: true, Claims: claims, Username: id.Username(), Realm: s.Realm.Name}
	if claims.Authorization == nil {
		if owner != "" && claims.Subject != owner {
			return inactive, nil // a user's PAT is about what that user owns
		}
		return out, nil
	}
	left, err := a.standing(ctx, view, s, claims, owner)
	if err != nil {
		return nil, err
	}
	if len(left) == 0 {
		return inactive, nil
	}
	out.Claims, out.Permissions = plain(claims, left), left
	return out, nil
}
