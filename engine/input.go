package engine

import "example.com/umpire/uma"

// A sink makes a document of the members that writeInput names, in their order. Lists and
// maps that are nil are empty ones. An element of a list has no name: "".
type sink interface {
	object(name string) // until endObject, members are those of this object
	endObject()
	list(name string) // until endList, values are elements of this list
	endList()

	text(name, s string)
	number(name string, n int64)
	bool(name string, v bool)
	texts(name string, list []string)
	scopes(name string, list []uma.Scope)
	lists(name string, m map[string][]string)
	values(name string, m map[string]any)
}

// writeInput names the members of the policy's input, version 1
// (policies/schemas/input-v1.json): for the evaluation as OPA's values, for the record as
// JSON.
func writeInput(s sink, in *uma.Input) {
	s.text("version", in.Version)
	s.text("realm", in.Realm)
	s.text("kind", in.Kind)
	writeSubject(s, &in.Subject)
	writeClaims(s, &in.Claims)
	writeClient(s, &in.Client)
	s.text("resource_server", in.ResourceServer)
	if in.Resource != nil {
		writeResource(s, in.Resource)
	}
	s.scopes("scopes", in.Scopes)
	writeShares(s, in.Shares)
	writeRequests(s, in.Requests)
	if in.Ticket != nil {
		writeTicket(s, in.Ticket)
	}
	writeContext(s, &in.Context)
}

func writeSubject(s sink, p *uma.InputSubject) {
	s.object("subject")
	s.text("id", p.ID)
	s.text("type", p.Type)
	writeOptional(s, "username", p.Username)
	writeOptional(s, "issuer", p.Issuer)
	writeOptional(s, "external_id", p.ExternalID)
	writeOptional(s, "acr", p.ACR)
	if p.AuthTime != 0 {
		s.number("auth_time", p.AuthTime)
	}
	s.texts("roles", p.Roles)
	s.lists("client_roles", p.ClientRoles)
	s.texts("groups", p.Groups)
	s.bool("groups_known", p.GroupsKnown)
	s.texts("scopes", p.Scopes)
	s.values("attributes", p.Attributes)
	s.endObject()
}

func writeClaims(s sink, c *uma.InputClaims) {
	s.object("claims")
	s.values("verified", c.Verified)
	s.lists("pushed", c.Pushed)
	s.list("tokens")
	for i := range c.Tokens {
		t := &c.Tokens[i]
		s.object("")
		writeOptional(s, "format", t.Format)
		writeOptional(s, "issuer", t.Issuer)
		s.bool("verified", t.Verified)
		s.bool("bound", t.Bound)
		writeOptional(s, "reason", t.Reason)
		if len(t.Claims) > 0 {
			s.values("claims", t.Claims)
		}
		s.endObject()
	}
	s.endList()
	s.endObject()
}

func writeClient(s sink, c *uma.InputClient) {
	s.object("client")
	s.text("id", c.ID)
	s.bool("public", c.Public)
	s.bool("authenticated", c.Authenticated)
	if len(c.Scopes) > 0 {
		s.scopes("scopes", c.Scopes)
	}
	s.endObject()
}

func writeResource(s sink, r *uma.InputResource) {
	s.object("resource")
	s.text("id", string(r.ID))
	s.text("name", r.Name)
	s.text("type", r.Type)
	s.text("owner", r.Owner)
	s.bool("owner_managed", r.OwnerManaged)
	s.texts("uris", r.URIs)
	s.scopes("scopes", r.Scopes)
	s.lists("attributes", r.Attributes)
	s.endObject()
}

func writeShares(s sink, shares []uma.InputShare) {
	s.list("shares")
	for i := range shares {
		sh := &shares[i]
		s.object("")
		s.text("id", sh.ID)
		s.text("kind", sh.Kind)
		writeOptional(s, "name", sh.Name)
		s.scopes("scopes", sh.Scopes)
		s.texts("users", sh.Users)
		s.texts("roles", sh.Roles)
		s.texts("groups", sh.Groups)
		s.texts("clients", sh.Clients)
		s.text("strategy", sh.Strategy)
		s.endObject()
	}
	s.endList()
}

func writeRequests(s sink, requests []uma.InputRequest) {
	s.list("requests")
	for i := range requests {
		r := &requests[i]
		s.object("")
		s.text("id", r.ID)
		s.text("state", r.State)
		s.scopes("scopes", r.Scopes)
		writeOptional(s, "created", r.Created)
		s.endObject()
	}
	s.endList()
}

func writeTicket(s sink, t *uma.InputTicket) {
	s.object("ticket")
	s.text("id", t.ID)
	s.text("issued_at", t.IssuedAt)
	s.number("round", int64(t.Round))
	s.endObject()
}

func writeContext(s sink, c *uma.InputContext) {
	s.object("context")
	s.text("time", c.Time)
	writeOptional(s, "ip", c.IP)
	writeOptional(s, "user_agent", c.UserAgent)
	writeOptional(s, "request_id", c.RequestID)
	writeOptional(s, "trace_id", c.TraceID)
	s.values("properties", nil) // the schema requires it; nothing sets a property yet
	s.endObject()
}

func writeOptional(s sink, name, text string) {
	if text != "" {
		s.text(name, text)
	}
}
