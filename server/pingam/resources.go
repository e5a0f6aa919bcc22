package pingam

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// CreateResource serves POST /resource_set: as FedAuthz §3.2.1 has it, with the
// address of the new resource on this face. What else there is to resources is
// uma2's.
func (f *Face) CreateResource(x *wire.Exchange) error {
	pat, err := f.Authority.PAT(x.Context(), x.Realm, &x.Caller, uma.WithScope)
	if err != nil {
		return err
	}
	body, err := x.Body()
	if err != nil {
		return err
	}
	in, err := uma2.ParseResource(body)
	if err != nil {
		return err
	}
	r, err := f.Authority.CreateResource(x.Context(), pat, in)
	if err != nil {
		return err
	}
	x.Header().Set("Location", URL(f.Authority, x.Realm, "uma")+"/resource_set/"+string(r.ID))
	return x.JSON(http.StatusCreated, map[string]uma.ResourceID{"_id": r.ID})
}
