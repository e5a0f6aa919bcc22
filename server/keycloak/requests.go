package keycloak

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// A request is the representation of a permission request, which Keycloak calls
// a permission ticket: ids, and names when they are asked for.
type request struct {
	ID            string         `json:"id"`
	Owner         string         `json:"owner"`
	Resource      uma.ResourceID `json:"resource"`
	Scope         string         `json:"scope,omitempty"`
	Granted       bool           `json:"granted"`
	Requester     string         `json:"requester"`
	ScopeName     uma.Scope      `json:"scopeName,omitempty"`
	ResourceName  string         `json:"resourceName,omitempty"`
	OwnerName     string         `json:"ownerName,omitempty"`
	RequesterName string         `json:"requesterName,omitempty"`
}

func showRequest(v *protection.RequestView, names bool) request {
	r := request{
		ID: v.ID, Owner: v.Owner, Resource: v.ResourceID, Scope: v.ScopeID,
		Granted: v.State == uma.Granted, Requester: v.Requester,
	}
	if names {
		r.ScopeName, r.ResourceName = v.Scope, v.ResourceName
		r.OwnerName, r.RequesterName = v.OwnerName, v.RequesterName
	}
	return r
}

// CreateRequest serves POST /permission/ticket.
func (f *Face) CreateRequest(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	if body.Kind != wire.Object {
		return wire.Invalid("invalid_permission")
	}
	in, err := parseRequest(body)
	if err != nil {
		return err
	}
	v, err := f.Core.Protection.CreateRequest(x.Context(), c, in)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, showRequest(v, false))
}

// UpdateRequest serves PUT /permission/ticket: the owner's answer. The body is a
// whole representation, of which `id` and `granted` count.
func (f *Face) UpdateRequest(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := parseRequest(body)
	if err != nil {
		return err
	}
	if in.ID == "" {
		return wire.Invalid("invalid_ticket")
	}
	// Absent it would have to mean a withdrawal, which nobody should say by
	// leaving something out.
	if body.Member("granted").Kind == wire.Absent {
		return wire.Invalid("granted is missing")
	}
	if err := f.Core.Protection.UpdateRequest(x.Context(), c, in); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

// DeleteRequest serves DELETE /permission/ticket/{id}.
func (f *Face) DeleteRequest(x *wire.Exchange, c *protection.Caller) error {
	if err := f.Core.Protection.DeleteRequest(x.Context(), c, x.Param("id")); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

// ListRequests serves GET /permission/ticket.
func (f *Face) ListRequests(x *wire.Exchange, c *protection.Caller) error {
	q, err := readRequestQuery(x)
	if err != nil {
		return err
	}
	return x.Array(func(add func(any) error) error {
		return f.Core.Protection.FindRequests(x.Context(), c, q, func(r *protection.RequestView) error {
			return add(showRequest(r, q.ReturnNames))
		})
	})
}

// CountRequests serves GET /permission/ticket/count: a bare number.
func (f *Face) CountRequests(x *wire.Exchange, c *protection.Caller) error {
	q, err := readRequestQuery(x)
	if err != nil {
		return err
	}
	n, err := f.Core.Protection.CountRequests(x.Context(), c, q)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, n)
}

func readRequestQuery(x *wire.Exchange) (*protection.RequestQuery, error) {
	params, err := x.Query()
	if err != nil {
		return nil, err
	}
	return parseRequestQuery(params)
}

func parseRequestQuery(params wire.Form) (*protection.RequestQuery, error) {
	q := &protection.RequestQuery{
		ScopeID: params.Get("scopeId"), ResourceID: params.Get("resourceId"),
		Owner: params.Get("owner"), Requester: params.Get("requester"),
	}
	granted, present, err := params.Bool("granted")
	if err != nil {
		return nil, err
	}
	if present {
		q.Granted = &granted
	}
	if q.ReturnNames, _, err = params.Bool("returnNames"); err != nil {
		return nil, err
	}
	q.First, q.Max, err = parsePage(params)
	return q, err
}

func parseRequest(v wire.Value) (*protection.RequestInput, error) {
	in := &protection.RequestInput{}
	err := v.Texts(map[string]*string{
		"id":            &in.ID,
		"resource":      &in.Resource,
		"requester":     &in.Requester,
		"requesterName": &in.RequesterName,
		"scope":         &in.Scope,
		"scopeName":     &in.ScopeName,
	})
	if err != nil {
		return nil, err
	}
	in.Granted, _, err = v.Bool("granted")
	return in, err
}
