package wso2

import (
	"net/http"
	"net/url"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// RegistrationPath is where resources are registered, in a tenant.
const RegistrationPath = "/api/identity/oauth2/uma/resourceregistration/v1.0/resource"

type identified struct {
	ID uma.ResourceID `json:"_id"`
}

// CreateResource serves POST …/resource.
func (f *Face) CreateResource(x *wire.Exchange) error {
	pat, in, err := f.described(x)
	if err != nil {
		return err
	}
	r, err := f.Authority.CreateResource(x.Context(), pat, in)
	if err != nil {
		return err
	}
	x.Header().Set("Location", f.Authority.RootURL()+"/t/"+url.PathEscape(x.Realm.Realm.Name)+RegistrationPath+"/"+string(r.ID))
	return x.JSON(http.StatusCreated, identified{r.ID})
}

// ReplaceResource serves PUT …/resource/{id}, which answers 201 here.
func (f *Face) ReplaceResource(x *wire.Exchange) error {
	pat, in, err := f.described(x)
	if err != nil {
		return err
	}
	id := x.Param("id")
	if err := f.Authority.ReplaceResource(x.Context(), pat, id, in); err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, identified{uma.ResourceID(id)})
}

// described reads who asks and the description of a resource. On a path that names
// a resource it must be that one's.
func (f *Face) described(x *wire.Exchange) (*uma.Protection, *uma.ResourceInput, error) {
	pat, err := f.PAT(x)
	if err != nil {
		return nil, nil, err
	}
	body, err := x.Body()
	if err != nil {
		return nil, nil, err
	}
	if id := x.Param("id"); id != "" {
		if err := uma2.Unconditional(x); err != nil {
			return nil, nil, err
		}
		if err := uma2.CheckID(body, id); err != nil {
			return nil, nil, err
		}
	}
	in, err := uma2.ParseResource(body)
	return pat, in, err
}
