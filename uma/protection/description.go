package protection

import (
	"net/url"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
	"example.com/umpire/uma/uripath"
)

// A ResourceInput is a resource description (FedAuthz §3.1) as a request has it,
// unchecked.
type ResourceInput struct {
	Name, DisplayName, Type, IconURI string
	Owner                            string         // subject id, username or client_id; empty: the caller
	OwnerID                          *uma.SubjectID // instead: the owner as a trusted issuer knows it
	URIs                             []string
	Scopes                           []uma.Scope
	OwnerManaged                     bool
	Attributes                       map[string][]string // nil: not given
	Texts                            map[string]string   // see Resource
}

// A ResourceView is a resource with the name of its owner and the ids of its scopes.
type ResourceView struct {
	*uma.Resource
	OwnerName string
	ScopeRows []uma.ScopeRow
}

// check refuses a description that cannot be registered by the caller.
func (c *Caller) check(in *ResourceInput) error {
	if fault := in.fault(c.Rules); fault.Kind != "" {
		return uma.Reject(uma.InvalidRequest, fault, nil)
	}
	for _, s := range in.Scopes {
		if fault := uma.CheckScope(s); fault.Kind != "" {
			return uma.Reject(uma.InvalidScope, fault, nil)
		}
	}
	if u, err := url.Parse(in.IconURI); err != nil || in.IconURI != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.NotWebURL, Parameter: "icon_uri"}, nil)
	}
	return c.checkSegments(in)
}

// fault returns what is wrong with the description, except for its scopes and its icon.
func (in *ResourceInput) fault(rules Rules) uma.Fault {
	if nameless := rules.Nameless && in.Name == ""; strings.TrimSpace(in.Name) == "" && !nameless {
		return uma.Fault{Kind: uma.Missing, Parameter: "name"}
	}
	for _, m := range []struct{ name, text string }{{"name", in.Name}, {"type", in.Type}, {"displayName", in.DisplayName}} {
		if fault := uma.CheckText(m.name, m.text); fault.Kind != "" {
			return fault
		}
	}
	for _, m := range []struct {
		name  string
		count int
	}{{"uris", len(in.URIs)}, {"resource_scopes", len(in.Scopes)}, {"attributes", len(in.Attributes)}, {"descriptions", len(in.Texts)}} {
		if m.count > uma.MaxMembers {
			return uma.Fault{Kind: uma.TooManyMembers, Parameter: m.name, Limit: uma.MaxMembers}
		}
	}
	if fault := in.textFault(); fault.Kind != "" {
		return fault
	}
	if in.OwnerID != nil {
		if fault := uma.CheckText("sub", in.OwnerID.Subject); fault.Kind != "" {
			return fault
		}
	}
	for _, uri := range in.URIs {
		if err := uripath.Check(uri); err != nil {
			return uma.Fault{Kind: uma.URIInvalid, Value: uri, Detail: err.Error()}
		}
	}
	return uma.Fault{}
}

// textFault returns what is wrong with the descriptions, translations and attributes.
func (in *ResourceInput) textFault() uma.Fault {
	for member, text := range in.Texts {
		switch {
		case uma.CheckText("", member).Kind != "":
			return uma.Fault{Kind: uma.MemberNameInvalid, Parameter: "descriptions", Limit: uma.MaxName}
		case len(text) > uma.MaxValue:
			return uma.Fault{Kind: uma.TooLong, Parameter: member, Limit: uma.MaxValue}
		}
	}
	for name, values := range in.Attributes {
		switch {
		case uma.CheckText("", name).Kind != "":
			return uma.Fault{Kind: uma.MemberNameInvalid, Parameter: "attributes", Limit: uma.MaxName}
		case len(values) > uma.MaxMembers:
			return uma.Fault{Kind: uma.AttributeHasTooMany, Name: name, Limit: uma.MaxMembers}
		case slices.ContainsFunc(values, func(v string) bool { return len(v) > uma.MaxValue }):
			return uma.Fault{Kind: uma.AttributeTooLong, Name: name, Limit: uma.MaxValue}
		}
	}
	if uma.AttributesSize(in.Attributes, in.Texts) > uma.MaxAttributes {
		return uma.Fault{Kind: uma.AttributesTooLarge, Limit: uma.MaxAttributes}
	}
	return uma.Fault{}
}

// checkSegments limits the URIs that a user registers: each of their segments is compared
// with patterns of the resource server while other writes wait.
func (c *Caller) checkSegments(in *ResourceInput) error {
	segments := 0
	for _, uri := range in.URIs {
		segments += strings.Count(uri, "/")
	}
	if !c.isServer() && segments > uma.MaxOwnerSegments {
		return uma.Reject(uma.InvalidRequest, uma.Fault{Kind: uma.TooManySegments, Limit: uma.MaxOwnerSegments}, nil)
	}
	return nil
}

// newResource returns the resource that a description registers.
func (c *Caller) newResource(in *ResourceInput, id uma.ResourceID, owner string) *uma.Resource {
	r := c.resource(in, id, owner)
	if c.Rules.OwnersManage {
		r.OwnerManaged = owner != c.Server.UUID
	}
	return r
}

// replacedResource returns what a description makes of a resource.
func (c *Caller) replacedResource(in *ResourceInput, old *uma.Resource) *uma.Resource {
	r := c.resource(in, old.ID, old.Owner)
	if c.Rules.KeepUndescribed {
		r.OwnerManaged, r.DisplayName, r.URIs = old.OwnerManaged, old.DisplayName, old.URIs
	}
	return r
}

func (c *Caller) resource(in *ResourceInput, id uma.ResourceID, owner string) *uma.Resource {
	r := &uma.Resource{
		ID: id, Owner: owner, Server: c.Server.Key, Name: in.Name, DisplayName: in.DisplayName, Type: in.Type, IconURI: in.IconURI,
		URIs: in.URIs, Scopes: sets.Union(nil, in.Scopes), OwnerManaged: in.OwnerManaged, Attributes: in.Attributes,
		Texts: in.Texts, Origin: uma.FromAPI,
	}
	if !c.isServer() {
		r.Origin = uma.FromOwner
	}
	if r.Name == "" { // by Rules.Nameless
		r.Name = string(id)
	}
	return r
}

func resourceNotRegistered(id string) uma.Fault {
	return uma.Fault{Kind: uma.ResourceNotRegistered, Resource: id}
}

func scopeNotRegistered(s uma.Scope) uma.Fault {
	return uma.Fault{Kind: uma.ScopeNotRegistered, Scopes: []uma.Scope{s}}
}
