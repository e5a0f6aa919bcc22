package grant

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// commonInput is what the inputs of all permissions of a question share.
func commonInput(q *question) *uma.Input {
	roles, clientRoles, groups := q.party.Roles()
	in := &uma.Input{
		Version: "1", Realm: q.realm.Realm.Name, Kind: "rpt",
		Subject: uma.InputSubject{
			ID: q.party.Subject, Type: "user", Username: q.party.Username(),
			Roles: roles, ClientRoles: clientRoles, Groups: groups, Attributes: q.party.Attributes(),
			Scopes: strings.Fields(q.party.Claims.Scope), ACR: q.party.Claims.ACR, AuthTime: q.party.Claims.AuthTime,
		},
		Claims: uma.InputClaims{Verified: q.claims.verified, Pushed: q.claims.pushed, Tokens: q.claims.tokens},
		Client: uma.InputClient{
			ID: q.client.ID, Public: q.client.Public, Authenticated: q.proved, Scopes: q.client.Scopes,
		},
		ResourceServer: q.server.ID,
		Context: uma.InputContext{
			Time: q.now.UTC().Format(time.RFC3339Nano), IP: q.caller.IP, UserAgent: q.caller.UserAgent,
			RequestID: q.caller.RequestID, TraceID: q.caller.TraceID,
		},
		Now: q.now,
	}
	if q.party.User == nil {
		in.Subject.Type = "service"
	}
	if q.ticket != nil {
		id := sha256.Sum256(q.ticket.Hash)
		in.Ticket = &uma.InputTicket{
			ID:       "sha256:" + hex.EncodeToString(id[:]),
			IssuedAt: q.ticket.Issued.UTC().Format(time.RFC3339), Round: q.ticket.Round,
		}
	}
	return in
}

// inputOf is what the policy is told of one permission.
func inputOf(q *question, common *uma.Input, p *permission) *uma.Input {
	in := *common
	in.Scopes = p.scopes
	if p.resource == nil {
		return &in
	}
	r := p.resource
	in.Resource = &uma.InputResource{
		ID: r.ID, Name: r.Name, Type: r.Type, Owner: r.Owner, OwnerManaged: r.OwnerManaged,
		URIs: r.URIs, Scopes: r.Scopes, Attributes: r.Attributes,
	}
	for i := range q.shares {
		if s := &q.shares[i]; s.Resource == r.Key {
			in.Shares = append(in.Shares, uma.InputShare{
				ID: s.ID, Kind: s.Kind, Name: s.Name, Scopes: s.Scopes,
				Users: s.Users, Roles: s.Roles, Groups: s.Groups, Clients: s.Clients, Strategy: s.Strategy,
			})
		}
	}
	for i := range q.requests {
		request := &q.requests[i]
		if request.Resource != r.Key {
			continue
		}
		var scopes []uma.Scope
		if request.Scope != "" {
			scopes = []uma.Scope{request.Scope}
		}
		in.Requests = append(in.Requests, uma.InputRequest{
			ID: request.ID, State: request.State, Scopes: scopes, Created: request.Created.UTC().Format(time.RFC3339),
		})
	}
	return &in
}
