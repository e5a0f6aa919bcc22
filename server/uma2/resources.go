package uma2

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/protection"
)

// An identified is an answer that names a resource (FedAuthz §3.2).
type identified struct {
	ID uma.ResourceID `json:"_id"`
}

// PAT is whom the PAT speaks for. It comes in one way (RFC 6750 §2).
func (f *Face) PAT(x *wire.Exchange) (*protection.Caller, error) {
	if err := x.OneToken(); err != nil {
		return nil, err
	}
	return f.Core.PAT(x, protection.WithScope)
}

// unconditional refuses a condition on what the resource is like. Resources have
// no entity tags, so that none that a client names is right (RFC 9110 §13.1.1).
func unconditional(x *wire.Exchange) error {
	if match := x.RequestHeader("If-Match"); match != "" && match != "*" {
		return &wire.Refusal{
			Status: http.StatusPreconditionFailed, Code: "precondition_failed", Description: "Resources have no entity tags",
		}
	}
	return nil
}

// CreateResource serves POST /resource_set (FedAuthz §3.2.1).
func (f *Face) CreateResource(x *wire.Exchange) error {
	return f.Create(x, f.Core.PublicURL.Realm(x.Realm)+"/authz/protection/resource_set")
}

// Create registers a resource, whose address is below that of the list.
func (f *Face) Create(x *wire.Exchange, list string) error {
	pat, in, err := f.described(x, "")
	if err != nil {
		return err
	}
	r, err := f.Core.Protection.CreateResource(x.Context(), pat, in)
	if err != nil {
		return err
	}
	x.Header().Set("Location", list+"/"+string(r.ID))
	return x.JSON(http.StatusCreated, identified{r.ID})
}

// described reads who asks and how it describes a resource: a new one, or that of
// the id.
func (f *Face) described(x *wire.Exchange, id string) (*protection.Caller, *protection.ResourceInput, error) {
	pat, err := f.PAT(x)
	if err != nil {
		return nil, nil, err
	}
	body, err := x.Body()
	if err != nil {
		return nil, nil, err
	}
	in, err := ParseResource(body)
	if err == nil && id != "" {
		err = checkID(body, id)
	}
	return pat, in, err
}

// ReadResource serves GET /resource_set/{id} (FedAuthz §3.2.2).
func (f *Face) ReadResource(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	r, err := f.Core.Protection.ReadResource(x.Context(), pat, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, ShowResource(r))
}

// ReplaceResource serves PUT /resource_set/{id} (FedAuthz §3.2.3).
func (f *Face) ReplaceResource(x *wire.Exchange) error { return f.Replace(x, http.StatusOK) }

// Replace replaces the resource that the path names. The status is the face's.
func (f *Face) Replace(x *wire.Exchange, status int) error {
	id := x.Param("id")
	pat, in, err := f.described(x, id)
	if err != nil {
		return err
	}
	if err := unconditional(x); err != nil {
		return err
	}
	if err := f.Core.Protection.ReplaceResource(x.Context(), pat, id, in); err != nil {
		return err
	}
	return x.JSON(status, identified{uma.ResourceID(id)})
}

// DeleteResource serves DELETE /resource_set/{id} (FedAuthz §3.2.4).
func (f *Face) DeleteResource(x *wire.Exchange) error {
	pat, err := f.PAT(x)
	if err != nil {
		return err
	}
	if err := unconditional(x); err != nil {
		return err
	}
	if err := f.Core.Protection.DeleteResource(x.Context(), pat, x.Param("id")); err != nil {
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
		return f.Core.Protection.ListOwn(x.Context(), pat, func(r *uma.Resource) error { return add(r.ID) })
	})
}
