package keycloak

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// CreateResource serves POST /resource_set (FedAuthz §3.2.1).
func (f *Face) CreateResource(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := parseResource(body)
	if err != nil {
		return err
	}
	r, err := f.Core.Protection.CreateResource(x.Context(), c, in)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, createdResource(r))
}

// ReadResource serves GET /resource_set/{id}.
func (f *Face) ReadResource(x *wire.Exchange, c *protection.Caller) error {
	r, err := f.Core.Protection.ReadResource(x.Context(), c, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, showResource(r))
}

// ReplaceResource serves PUT /resource_set/{id}. The body is a whole
// representation, such as GET gives: its owner does not count.
func (f *Face) ReplaceResource(x *wire.Exchange, c *protection.Caller) error {
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := parseResource(body)
	if err != nil {
		return err
	}
	id, err := body.String("_id")
	if err != nil {
		return err
	}
	if id != "" && id != x.Param("id") {
		return wire.Invalid("_id is not that of the path")
	}
	if err := f.Core.Protection.ReplaceResource(x.Context(), c, x.Param("id"), in); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

// DeleteResource serves DELETE /resource_set/{id}.
func (f *Face) DeleteResource(x *wire.Exchange, c *protection.Caller) error {
	if err := f.Core.Protection.DeleteResource(x.Context(), c, x.Param("id")); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

// ListResources serves GET /resource_set: ids, or with deep=true
// representations, as they come from the store.
func (f *Face) ListResources(x *wire.Exchange, c *protection.Caller) error {
	params, err := x.Query()
	if err != nil {
		return err
	}
	q, deep, err := parseResourceQuery(params)
	if err != nil {
		return err
	}
	return x.Array(func(add func(any) error) error {
		if deep {
			return f.Core.Protection.DescribeResources(x.Context(), c, q, func(r *protection.ResourceView) error { return add(describedResource(r)) })
		}
		return f.Core.Protection.FindResources(x.Context(), c, q, func(r *uma.Resource) error { return add(r.ID) })
	})
}

func parseResourceQuery(params wire.Form) (q *protection.ResourceQuery, deep bool, err error) {
	q = &protection.ResourceQuery{
		ID: params.Get("_id"), Name: params.Get("name"), URI: params.Get("uri"),
		Owner: params.Get("owner"), Type: params.Get("type"), Scope: params.Get("scope"),
	}
	if q.ExactName, _, err = params.Bool("exactName"); err != nil {
		return nil, false, err
	}
	if q.MatchingURI, _, err = params.Bool("matchingUri"); err != nil {
		return nil, false, err
	}
	if deep, _, err = params.Bool("deep"); err != nil {
		return nil, false, err
	}
	q.First, q.Max, err = parsePage(params)
	return q, deep, err
}

// pageSize is the number of rows in a list whose request does not say how many.
const pageSize = 100

// parsePage reads `first` and `max`. Clients send -1 for "from the start" and
// "all".
func parsePage(params wire.Form) (first, most int, err error) {
	if first, err = params.Int("first", -1, 0); err != nil {
		return 0, 0, err
	}
	most, err = params.Int("max", -1, pageSize)
	return max(first, 0), most, err
}
