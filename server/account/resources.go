package account

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// path is the path of the API below the realm.
const path = "/account/resources"

// A resource is the representation of a resource: for its owner with the users whom it is
// shared with, for others with the scopes that they were granted or asked for.
type resource struct {
	ID          uma.ResourceID `json:"_id"`
	Name        string         `json:"name"`
	DisplayName string         `json:"displayName,omitempty"`
	URIs        []string       `json:"uris"`
	IconURI     string         `json:"icon_uri,omitempty"`
	Scopes      []scope        `json:"scopes"`
	Client      client         `json:"client"`
	Permissions []permission   `json:"permissions,omitempty"`
}

type scope struct {
	Name uma.Scope `json:"name"`
}

type client struct {
	ID string `json:"clientId"`
}

func show(r *account.OwnedResource, scopes []uma.Scope) *resource {
	out := &resource{
		ID: r.ID, Name: r.Name, DisplayName: r.DisplayName, IconURI: r.IconURI,
		URIs: append([]string{}, r.URIs...), Scopes: make([]scope, len(scopes)),
	}
	for i, s := range scopes {
		out.Scopes[i].Name = s
	}
	if r.Client != nil {
		out.Client.ID = r.Client.ID
	}
	return out
}

// showPart is a resource as a user sees it whom it is shared with, or who asks for it.
func showPart(r *account.SharedResource) *resource {
	var scopes []uma.Scope
	for _, u := range r.Users {
		scopes = append(scopes, u.Scopes()...)
	}
	return show(&r.OwnedResource, scopes)
}

// Resources serves GET /account/resources: the caller's own resources.
func (f *Face) Resources(x *wire.Exchange, owner *account.Owner) error {
	p, err := parsePage(x)
	if err != nil {
		return err
	}
	rows, err := f.Core.Account.OwnedResources(x.Context(), owner, p.name, p.first, p.max+1)
	if err != nil {
		return err
	}
	return respond(f, x, p, "", rows, func(r *account.OwnedResource) *resource { return show(r, r.Scopes) })
}

// Resource serves GET /account/resources/{id}.
func (f *Face) Resource(x *wire.Exchange, owner *account.Owner) error {
	r, err := f.Core.Account.OwnedResource(x.Context(), owner, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, show(r, r.Scopes))
}

// SharedWithMe serves GET /account/resources/shared-with-me: the resources that others shared
// with the caller, with the granted scopes.
func (f *Face) SharedWithMe(x *wire.Exchange, owner *account.Owner) error {
	p, err := parsePage(x)
	if err != nil {
		return err
	}
	rows, err := f.Core.Account.SharedWithMe(x.Context(), owner, p.name, p.first, p.max+1)
	if err != nil {
		return err
	}
	return respond(f, x, p, "/shared-with-me", rows, showPart)
}

// SharedWithOthers serves GET /account/resources/shared-with-others: the resources that the
// caller shared, with the users whom they are shared with.
func (f *Face) SharedWithOthers(x *wire.Exchange, owner *account.Owner) error {
	p, err := parsePage(x)
	if err != nil {
		return err
	}
	q := &account.GrantedQuery{Name: p.name, First: p.first, Max: p.max + 1}
	rows, err := f.Core.Account.SharedWithOthers(x.Context(), owner, q)
	if err != nil {
		return err
	}
	return respond(f, x, p, "/shared-with-others", rows, func(r *account.SharedResource) *resource {
		out := show(&r.OwnedResource, r.Scopes)
		out.Permissions = showUsers(r)
		return out
	})
}

// PendingRequests serves GET /account/resources/pending-requests: the caller's own pending
// requests, one element for each scope.
func (f *Face) PendingRequests(x *wire.Exchange, owner *account.Owner) error {
	return x.Array(func(add func(any) error) error {
		return f.Core.Account.RequestsBy(x.Context(), owner, func(r *account.SharedResource) error { return add(showPart(r)) })
	})
}

// A page is the part of a list that a client asks for.
type page struct {
	name       string // a part of a resource's
	first, max int
	links      bool // both first and max were given
}

// Sizes of pages.
const (
	pageSize = 100 // without max
	maxPage  = 1000
)

func parsePage(x *wire.Exchange) (p page, err error) {
	params, err := x.Query()
	if err != nil {
		return p, err
	}
	if p.first, err = params.Int("first", 0, 0); err != nil {
		return p, err
	}
	if p.max, err = params.Int("max", 0, pageSize); err != nil {
		return p, err
	}
	if p.max > maxPage {
		return p, wire.Invalid(fmt.Sprintf("max must be at most %d", maxPage))
	}
	p.name, p.links = params.Get("name"), params.Has("first") && params.Has("max")
	return p, nil
}

// respond answers with a page of rows. One row more than the page holds was read, to know
// whether there is a next page.
func respond[T any](f *Face, x *wire.Exchange, p page, list string, rows []T, show func(*T) *resource) error {
	more := len(rows) > p.max
	rows = rows[:min(len(rows), p.max)]
	if p.links {
		p.link(x, f.Core.PublicURL.Realm(x.Realm)+path+list, more)
	}
	out := make([]*resource, len(rows))
	for i := range rows {
		out[i] = show(&rows[i])
	}
	return x.JSON(http.StatusOK, out)
}

// link adds links to the next and the previous page (RFC 8288), as absolute URLs, which
// Keycloak's console expects.
func (p page) link(x *wire.Exchange, list string, more bool) {
	at := func(first int, rel string) string {
		q := url.Values{"first": {strconv.Itoa(first)}, "max": {strconv.Itoa(p.max)}}
		if p.name != "" {
			q.Set("name", p.name)
		}
		return "<" + list + "?" + q.Encode() + `>; rel="` + rel + `"`
	}
	var links []string
	if more && p.max > 0 {
		links = append(links, at(p.first+p.max, "next"))
	}
	if p.first > 0 {
		links = append(links, at(max(p.first-p.max, 0), "prev"))
	}
	if len(links) > 0 {
		x.Header()["Link"] = []string{strings.Join(links, ", ")}
	}
}
