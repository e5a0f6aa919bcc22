package pingam

import (
	"net/http"
	"net/url"
	"strings"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// WritePolicy serves PUT /policies/{id}: it creates or replaces a policy, if the conditions
// of the request allow it.
func (f *Face) WritePolicy(x *wire.Exchange, o *account.Owner) error {
	only, err := parseConditions(x)
	if err != nil {
		return err
	}
	body, err := x.Body()
	if err != nil {
		return err
	}
	id := x.Param("id")
	grants, err := parsePolicy(body, id)
	if err != nil {
		return err
	}
	before, err := f.Core.Account.SharingOf(x.Context(), o, id)
	switch {
	case refusedFor(err, uma.NotFound):
		return noPolicy(id)
	case err != nil:
		return err
	}
	if err := wholeOrScopes(before, grants); err != nil {
		return err
	}
	if err := f.share(x, o, before, grants, only); err != nil {
		return err
	}
	after, err := f.policy(x, o)
	switch {
	case err != nil:
		return err
	case before.IsShared():
		return answerPolicy(x, after)
	}
	ref := policyRef{after.ID, revision(after)}
	x.Header().Set("Etag", `"`+ref.Rev+`"`)
	x.Header().Set("Location", URL(f.Core, x.Realm, "json")+"/users/"+url.PathEscape(o.User.Username)+"/uma/policies/"+string(ref.ID))
	return x.JSON(http.StatusCreated, ref)
}

// DeletePolicy serves DELETE /policies/{id}: it withdraws all that was granted of the
// resource.
func (f *Face) DeletePolicy(x *wire.Exchange, o *account.Owner) error {
	only, err := parseConditions(x)
	if err != nil {
		return err
	}
	before, err := f.policy(x, o)
	if err != nil {
		return err
	}
	only.there = true
	if err := f.share(x, o, before, nil, only); err != nil {
		return err
	}
	return x.JSON(http.StatusOK, struct{}{})
}

// share replaces the grants of a policy, if the conditions hold.
func (f *Face) share(x *wire.Exchange, o *account.Owner, before *account.SharedResource, grants []account.UserScopes, only conditions) error {
	id, options := string(before.ID), account.ShareOptions{Only: true, New: only.absent, There: only.there}
	failed := preconditionFailed("The policy exists already")
	if only.rev != "" {
		failed = preconditionFailed("The policy is no longer the one of If-Match")
		if before.IsShared() && only.rev != revision(before) {
			return failed
		}
		options.Seen = before
	}
	err := f.Core.Account.ShareWith(x.Context(), o, id, grants, options)
	switch {
	case refusedFor(err, uma.NotFound):
		return noPolicy(id)
	case refusedFor(err, uma.Conflict):
		return failed
	}
	return err
}

// conditions are the conditions of a request (RFC 9110 §13.1) that are supported.
type conditions struct {
	absent bool   // If-None-Match: *
	there  bool   // If-Match
	rev    string // of If-Match; empty for any
}

func parseConditions(x *wire.Exchange) (c conditions, err error) {
	match, none := x.RequestHeader("If-Match"), x.RequestHeader("If-None-Match")
	switch {
	case none != "" && none != "*":
		return c, wire.Invalid("If-None-Match may be *")
	case none != "" && match != "":
		return c, wire.Invalid("If-Match and If-None-Match exclude one another")
	case strings.Contains(match, ","):
		return c, wire.Invalid("If-Match may be * or the _rev of the policy")
	case match != "" && match != "*":
		if c.rev = strings.Trim(strings.TrimPrefix(match, "W/"), `"`); c.rev == "" { // which would be any
			return c, wire.Invalid("If-Match may be * or the _rev of the policy")
		}
	}
	c.absent, c.there = none != "", match != ""
	return c, nil
}

// parsePolicy reads a policy, whose id is that of the path. Conditions that would
// narrow it are not supported: it must not be granted as if they were not there.
func parsePolicy(v wire.Value, id string) ([]account.UserScopes, error) {
	if v.Kind != wire.Object {
		return nil, wire.Invalid("Invalid UMA policy. It must be a JSON object.")
	}
	switch said := v.Member("policyId"); {
	case said.Kind == wire.Absent:
		return nil, wire.Invalid("Invalid UMA policy. Missing required attribute, 'policyId'.")
	case said.Kind != wire.String:
		return nil, wire.Invalid("Invalid UMA policy. Required attribute, 'policyId', must be a String.")
	case said.Text != id:
		return nil, wire.Invalid("Policy ID does not match policy ID in the body.")
	case v.Member("conditions").Kind != wire.Absent:
		return nil, wire.Invalid("Conditions of UMA policies are not supported.")
	}
	permissions := v.Member("permissions")
	switch {
	case permissions.Kind == wire.Absent:
		return nil, wire.Invalid("Invalid UMA policy. Missing required attribute, 'permissions'.")
	case permissions.Kind != wire.Array:
		return nil, wire.Invalid("Invalid UMA policy. Required attribute, 'permissions', must be an array.")
	case len(permissions.List) == 0:
		return nil, wire.Invalid("Invalid UMA policy. It grants nothing: DELETE takes everything back.")
	}
	grants := make([]account.UserScopes, len(permissions.List))
	for i, p := range permissions.List {
		var err error
		if grants[i], err = parsePolicyPermission(p); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

func parsePolicyPermission(v wire.Value) (g account.UserScopes, err error) {
	const what = "Invalid UMA policy permission. "
	subject, scopes := v.Member("subject"), v.Member("scopes")
	switch {
	case v.Kind != wire.Object:
		return g, wire.Invalid(what + "It must be a JSON object.")
	case subject.Kind == wire.Absent:
		return g, wire.Invalid(what + "Missing required attribute, 'subject'.")
	case subject.Kind != wire.String:
		return g, wire.Invalid(what + "Required attribute, 'subject', must be a String.")
	case strings.TrimSpace(subject.Text) == "":
		return g, wire.Invalid("Subject cannot be a blank string")
	case scopes.Kind == wire.Absent:
		return g, wire.Invalid(what + "Missing required attribute, 'scopes'.")
	case v.Member("conditions").Kind != wire.Absent:
		return g, wire.Invalid("Conditions of UMA policies are not supported.")
	}
	if g.Scopes, err = v.Scopes("scopes"); err != nil {
		return g, wire.Invalid(what + "Required attribute, 'scopes', must be an array of Strings.")
	}
	g.User = subject.Text
	return g, nil
}

// wholeOrScopes makes of no scopes the resource as a whole, if that has none. Of
// one that has scopes no scopes are nothing, which is not granted.
func wholeOrScopes(r *account.SharedResource, grants []account.UserScopes) error {
	for i := range grants {
		switch {
		case len(grants[i].Scopes) > 0:
		case len(r.Scopes) > 0:
			return wire.Invalid("Invalid UMA policy permission. Required attribute, 'scopes', must not be empty.")
		default:
			grants[i].Scopes = []uma.Scope{uma.Everything}
		}
	}
	return nil
}
