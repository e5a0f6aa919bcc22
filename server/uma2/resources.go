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

// unconditional refuses a request with If-Match. Resources have no entity tags, so no tag
// that a client names can match (RFC 9110 §13.1.1).
func unconditional(x *wire.Exchange) error {
	if match := x.RequestHeader("If-Match"); match != "" && match != "*" {
		return &wire.Refusal{
			Status: http.StatusPreconditionFailed, Code: "precondition_failed", Description: "Resources have no entity tags",
		}
	}
	return nil
}

// CreateResource serves POST /resource_set (FedAuthz §3.2.1).
func (f *Face) CreateResource(x *wire.Exchange, c *protection.Caller) error {
	return f.Create(x, c, f.Core.PublicURL.Realm(x.Realm)+"/authz/protection/resource_set")
}

// Create registers a resource. Its address is below that of the list.
func (f *Face) Create(x *wire.Exchange, c *protection.Caller, list string) error {
	in, err := readResource(x, "")
	if err != nil {
		return err
	}
	r, err := f.Core.Protection.CreateResource(x.Context(), c, in)
	if err != nil {
		return err
	}
	x.Header().Set("Location", list+"/"+string(r.ID))
	return x.JSON(http.StatusCreated, identified{r.ID})
}

// readResource reads the description of a new resource, or of the one with the id.
func readResource(x *wire.Exchange, id string) (*protection.ResourceInput, error) {
	body, err := x.Body()
	if err != nil {
		return nil, err
	}
	in, err := ParseResource(body)
	if err == nil && id != "" {
		err = checkID(body, id)
	}
	return in, err
}

// ReadResource serves GET /resource_set/{id} (FedAuthz §3.2.2).
func (f *Face) ReadResource(x *wire.Exchange, c *protection.Caller) error {
	r, err := f.Core.Protection.ReadResource(x.Context(), c, x.Param("id"))
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, ShowResource(r))
}

// ReplaceResource serves PUT /resource_set/{id} (FedAuthz §3.2.3).
func (f *Face) ReplaceResource(x *wire.Exchange, c *protection.Caller) error {
	return f.Replace(x, c, http.StatusOK)
}

// Replace replaces the resource that the path names. The status is the face's.
func (f *Face) Replace(x *wire.Exchange, c *protection.Caller, status int) error {
	id := x.Param("id")
	in, err := readResource(x, id)
	if err != nil {
		return err
	}
	if err := unconditional(x); err != nil {
		return err
	}
	if err := f.Core.Protection.ReplaceResource(x.Context(), c, id, in); err != nil {
		return err
	}
	return x.JSON(status, identified{uma.ResourceID(id)})
}

// DeleteResource serves DELETE /resource_set/{id} (FedAuthz §3.2.4).
func (f *Face) DeleteResource(x *wire.Exchange, c *protection.Caller) error {
	if err := unconditional(x); err != nil {
		return err
	}
	if err := f.Core.Protection.DeleteResource(x.Context(), c, x.Param("id")); err != nil {
		return err
	}
	return x.Empty(http.StatusNoContent)
}

// ListResources serves GET /resource_set (FedAuthz §3.2.5): the ids of what the
// PAT's owner has here.
func (f *Face) ListResources(x *wire.Exchange, c *protection.Caller) error {
	return x.Array(func(add func(any) error) error {
		return f.Core.Protection.ListOwn(x.Context(), c, func(r *uma.Resource) error { return add(r.ID) })
	})
}
