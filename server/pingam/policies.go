package pingam

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// A policy has all that an owner granted of one resource. Its id is the resource's.
type policy struct {
	ID          uma.ResourceID     `json:"_id"`
	Rev         string             `json:"_rev"`
	PolicyID    uma.ResourceID     `json:"policyId"`
	Name        string             `json:"name"`
	Permissions []policyPermission `json:"permissions"`
}

type policyPermission struct {
	Subject string      `json:"subject"`
	Scopes  []uma.Scope `json:"scopes"`
}

// A policyRef is the answer to the creation of one.
type policyRef struct {
	ID  uma.ResourceID `json:"_id"`
	Rev string         `json:"_rev"`
}

func showPolicy(s *account.SharedResource) policy {
	p := policy{ID: s.ID, PolicyID: s.ID, Name: s.Name, Rev: revision(s), Permissions: []policyPermission{}}
	for i := range s.Users {
		u := &s.Users[i]
		if u.User.Username == "" {
			continue // gone
		}
		scopes := u.Scopes()
		if slices.Contains(scopes, uma.Everything) {
			scopes = []uma.Scope{} // the resource has none
		}
		p.Permissions = append(p.Permissions, policyPermission{u.User.Username, scopes})
	}
	for _, v := range s.Invitations {
		p.Permissions = append(p.Permissions, policyPermission{v.Email, append([]uma.Scope{}, v.Scopes...)})
	}
	return p
}

// revision is a digest of the ids and versions of the rows that a policy consists of.
// Invitations have no versions.
func revision(s *account.SharedResource) string {
	h := sha256.New()
	for _, u := range s.Users {
		for _, q := range u.Requests {
			fmt.Fprintf(h, "%s %d\n", q.ID, q.Version)
		}
	}
	for _, v := range s.Invitations {
		fmt.Fprintf(h, "%s %q\n", v.ID, v.Scopes)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Owned makes a handler check the access token, and that the path names its user, by username
// or id: the username of a party of a trusted issuer has a slash, which not all clients and
// proxies leave encoded. The refusal does not tell whether other users exist.
func (f *Face) Owned(h wire.OwnerHandler) wire.Handler {
	return f.Core.Owned(func(x *wire.Exchange, o *account.Owner) error {
		if named := x.Param("user"); named != o.User.ID && !strings.EqualFold(o.User.Username, named) {
			return &wire.Refusal{Status: http.StatusForbidden, Code: "access_denied", Description: "The path is about another user than the token"}
		}
		return h(x, o)
	})
}

// policy reads an existing policy.
func (f *Face) policy(x *wire.Exchange, o *account.Owner) (*account.SharedResource, error) {
	id := x.Param("id")
	s, err := f.Core.Account.SharingOf(x.Context(), o, id)
	if refusedFor(err, uma.NotFound) || err == nil && !s.IsShared() {
		return nil, noPolicy(id)
	}
	return s, err
}

func noPolicy(id string) error { return notFound("UMA Policy not found, " + id) }

func refusedFor(err error, reason uma.Reason) bool {
	e, ok := errors.AsType[*uma.Error](err)
	return ok && e.Reason == reason
}

// ReadPolicy serves GET /policies/{id}.
func (f *Face) ReadPolicy(x *wire.Exchange, o *account.Owner) error {
	s, err := f.policy(x, o)
	if err != nil {
		return err
	}
	return answerPolicy(x, s)
}

func answerPolicy(x *wire.Exchange, s *account.SharedResource) error {
	p := showPolicy(s)
	x.Header().Set("Etag", `"`+p.Rev+`"`)
	return x.JSON(http.StatusOK, p)
}

// ListPolicies serves GET /policies?_queryFilter=.
func (f *Face) ListPolicies(x *wire.Exchange, o *account.Owner) error {
	params, err := x.Query()
	if err != nil {
		return err
	}
	filter, err := parsePolicyFilter(params.Get("_queryFilter"))
	if err != nil {
		return err
	}
	if key := params.Get("_sortKeys"); key != "" && key != "name" && key != "+name" {
		return wire.Invalid("_sortKeys may be name")
	}
	p, err := parsePage(params)
	if err != nil {
		return err
	}
	shared, err := f.Core.Account.SharedWithOthers(x.Context(), o, &account.GrantedQuery{
		Server: filter.server, User: filter.subject, First: p.offset, Max: p.size + 1,
	})
	if err != nil {
		return err
	}
	policies := make([]policy, len(shared))
	for i := range shared {
		policies[i] = showPolicy(&shared[i])
	}
	return list(x, policies, p, nil)
}
