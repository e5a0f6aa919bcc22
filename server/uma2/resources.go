package uma2

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// An identified is an answer that names a resource (FedAuthz §3.2).
type identified struct {
	ID uma.ResourceID `json:"_id"`
}

// PAT is whom the PAT speaks for. It comes in one way (RFC 6750 §2).
func (f *Face) PAT(x *wire.Exchange) (*uma.Protection, error) {
	query, err := x.Query()
	switch {
	case err != nil:
		return nil, err
	case x.Caller.HasBearer && query.Has("access_token"):
		return nil, wire.Invalid("the access token comes in two ways")
	}
	return f.Authority.PAT(x.Context(), x.Realm, &x.Caller, uma.WithScope)
}

// Unconditional refuses a condition on what the resource is like. Resources have
// no entity tags, so that none that a client names is right (RFC 9110 §13.1.1).
func Unconditional(x *wire.Exchange) error {
	if match := x.RequestHeader("If-Match"); match != "" && match != "*" {
		return &wire.Refusal{
			Status: http.StatusPreconditionFailed, Code: "precondition_failed", Description: "Resources have no entity tags",
		}
	}
	return nil
}

// CreateResource serves POST /resource_set (FedAuthz §3.2.1).
func (f *Face) CreateResource(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := ParseResource(body)
	if err != nil {
		return err
	}
	r, err := f.Authority.CreateResource(x.Context(), pat, in)
	if err != nil {
		return err
	}
	x.Header().Set("Location", f.Authority.RealmURL(x.Realm)+"/authz/protection/resource_set/"+string(r.ID))
	return x.JSON(http.StatusCreated, identified{r.ID})
}

// ReadResource serves GET /resource_set/{id} (FedAuthz §3.2.2).
func (f *Face) ReadResource(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	r, err := f.Authority.ReadResource(x.Context(), pat, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, ShowResource(r))
}

// ReplaceResource serves PUT /resource_set/{id} (FedAuthz §3.2.3).
func (f *Face) ReplaceResource(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := ParseResource(body)
	if err != nil {
		return err
	}
	id := x.Param("id")
	if err := CheckID(body, id); err != nil {
		return err
	}
	if err := Unconditional(x); err != nil {
		return err
	}
	if err := f.Authority.ReplaceResource(x.Context(), pat, id, in); err != nil {
		return err
	}
	return x.JSON(http.StatusOK, identified{uma.ResourceID(id)})
}

// DeleteResource serves DELETE /resource_set/{id} (FedAuthz §3.2.4).
func (f *Face) DeleteResource(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	if err := Unconditional(x); err != nil {
		return err
	}
	if err := f.Authority.DeleteResource(x.Context(), pat, x.Param("id")); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

// ListResources serves GET /resource_set (FedAuthz §3.2.5): the ids of what the
// PAT's owner has here.
func (f *Face) ListResources(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	return x.Array(func(add func(any) error) error {
		return f.Authority.ListOwn(x.Context(), pat, func(r *uma.Resource) error { return add(r.ID) })
	})
}
