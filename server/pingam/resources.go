package pingam

import (
	"example.com/umpire/server/wire"
	"example.com/umpire/uma/protection"
)

// CreateResource serves POST /resource_set: as FedAuthz §3.2.1 has it, with the
// address of the new resource on this face.
func (f *Face) CreateResource(x *wire.Exchange, c *protection.Caller) error {
	return f.Create(x, c, URL(f.Core, x.Realm, "uma")+"/resource_set")
}
