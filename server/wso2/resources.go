package wso2

import (
	"net/http"
	"net/url"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma/protection"
)

// RegistrationPath is where resources are registered, in a tenant.
const RegistrationPath = "/api/identity/oauth2/uma/resourceregistration/v1.0/resource"

// CreateResource serves POST …/resource.
func (f *Face) CreateResource(x *wire.Exchange, c *protection.Caller) error {
	return f.Create(x, c, f.Core.PublicURL.Root()+"/t/"+url.PathEscape(x.Realm.Realm.Name)+RegistrationPath)
}

// ReplaceResource serves PUT …/resource/{id}, which answers 201 here.
func (f *Face) ReplaceResource(x *wire.Exchange, c *protection.Caller) error {
	return f.Replace(x, c, http.StatusCreated)
}
