package pingam

import "example.com/umpire/server/wire"

// CreateResource serves POST /resource_set: as FedAuthz §3.2.1 has it, with the
// address of the new resource on this face.
func (f *Face) CreateResource(x *wire.Exchange) error {
	return f.Create(x, URL(f.Core, x.Realm, "uma")+"/resource_set")
}
