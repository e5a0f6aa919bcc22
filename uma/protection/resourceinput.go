package protection

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"example.com/umpire/uma"
	"example.com/umpire/uma/sets"
	"example.com/umpire/uma/uripath"
)

// A ResourceInput is a resource description (FedAuthz §3.1), parsed but not yet
// believed.
type ResourceInput struct {
	Name, DisplayName, Type, IconURI string
	Owner                            string // subject id, username or client_id; empty: the caller
	URIs                             []string
	Scopes                           []uma.Scope
	OwnerManaged                     bool
	Attributes                       map[string][]string // nil: not given
	Texts                            map[string]string   // see Resource

	// Strict takes it as Federated Authorization has it: a name is no must, and the
	// owner looks after the sharing.
	Strict bool
}

// A ResourceView is a resource as the answer to its creation shows it.
type ResourceView struct {
	*uma.Resource
	OwnerName string
	ScopeRows []uma.ScopeRow
}

// check refuses what cannot be registered.
func (in *ResourceInput) check() error {
	bad := func(text string) error { return uma.Refuse(uma.InvalidRequest, text, nil) }
	if nameless := in.Strict && in.Name == ""; strings.TrimSpace(in.Name) == "" && !nameless {
		return bad("name is missing")
	}
	for _, m := range [][2]string{{"name", in.Name}, {"type", in.Type}, {"displayName", in.DisplayName}} {
		if err := uma.CheckText(m[1]); err != nil {
			return bad(m[0] + " " + err.Error())
		}
	}
	if len(in.URIs) > uma.MaxMembers || len(in.Scopes) > uma.MaxMembers || len(in.Attributes) > uma.MaxMembers {
		return bad(fmt.Sprintf("uris, scopes and attributes may have %d members each", uma.MaxMembers))
	}
	if err := in.checkTexts(); err != nil {
		return err
	}
	for name, values := range in.Attributes {
		if uma.CheckText(name) != nil || len(values) > uma.MaxMembers || slices.ContainsFunc(values, func(v string) bool { return len(v) > uma.MaxValue }) {
			return bad(fmt.Sprintf("attributes: names have at most %d bytes, and at most %d values of %d bytes each", uma.MaxName, uma.MaxMembers, uma.MaxValue))
		}
	}
	if uma.AttributesSize(in.Attributes, in.Texts) > uma.MaxAttributes {
		return bad(fmt.Sprintf("attributes, descriptions and translations have more than %d bytes together", uma.MaxAttributes))
	}
	for _, uri := range in.URIs {
		if err := uripath.Check(uri); err != nil {
			return bad(err.Error())
		}
	}
	for _, s := range in.Scopes {
		if err := uma.CheckScope(s); err != nil {
			return uma.Refuse(uma.InvalidScope, "Scope ["+string(s)+"] "+err.Error(), nil)
		}
	}
	if u, err := url.Parse(in.IconURI); err != nil || in.IconURI != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return bad("icon_uri is not an absolute http or https URL")
	}
	return nil
}

func (in *ResourceInput) checkTexts() error {
	if len(in.Texts) > uma.MaxMembers {
		return uma.Refuse(uma.InvalidRequest, fmt.Sprintf("descriptions and translations may be %d", uma.MaxMembers), nil)
	}
	for member, text := range in.Texts {
		if uma.CheckText(member) != nil || len(text) > uma.MaxValue {
			return uma.Refuse(uma.InvalidRequest, fmt.Sprintf("descriptions and translations have at most %d bytes each", uma.MaxValue), nil)
		}
	}
	return nil
}

func (in *ResourceInput) resource(p *Caller) *uma.Resource {
	r := &uma.Resource{
		Server: p.Server.Key, Name: in.Name, DisplayName: in.DisplayName, Type: in.Type, IconURI: in.IconURI,
		URIs: in.URIs, Scopes: sets.Union(nil, in.Scopes), OwnerManaged: in.OwnerManaged, Attributes: in.Attributes,
		Texts: in.Texts, Origin: uma.FromAPI,
	}
	if !p.isServer() {
		r.Origin = uma.FromOwner
	}
	return r
}

// checkReach bounds the URIs that a user registers: each of their segments is compared
// with patterns of the resource server while other writes wait.
func (p *Caller) checkReach(in *ResourceInput) error {
	segments := 0
	for _, uri := range in.URIs {
		segments += strings.Count(uri, "/")
	}
	if !p.isServer() && segments > uma.MaxOwnerSegments {
		return uma.Refuse(uma.InvalidRequest, fmt.Sprintf("uris that a user registers may have %d segments together", uma.MaxOwnerSegments), nil)
	}
	return nil
}
