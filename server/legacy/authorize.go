package legacy

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
)

// An rptBody is the answer of both endpoints.
type rptBody struct {
	RPT string `json:"rpt"`
}

// Authorize serves POST /authz/authorize: it exchanges a ticket for an RPT, for users with
// the realm role uma_authorization.
func (f *Face) Authorize(x *wire.Exchange) error {
	body, err := f.request(x, "uma_authorization", "Invalid authorization request.")
	if err != nil {
		return err
	}
	if err := onlyMembers(body, "ticket", "rpt", "metadata"); err != nil {
		return err
	}
	req, err := parseCommon(body)
	if err != nil {
		return err
	}
	req.Entitlement.Limit = 0 // has no effect here
	if req.Ticket, err = body.String("ticket"); err != nil {
		return err
	}
	if req.Ticket == "" {
		return uma.Reject(uma.UnusableTicket, uma.Fault{}, nil)
	}
	return f.answer(x, http.StatusCreated, req)
}

// Entitlements serves GET /authz/entitlement/{client_id}: an RPT with all permissions that the
// caller has at a resource server.
func (f *Face) Entitlements(x *wire.Exchange) error {
	if err := f.caller(x, ""); err != nil {
		return err
	}
	server, err := resourceServer(x, "Identifier is not associated with any client and resource server.")
	if err != nil {
		return err
	}
	return f.answer(x, http.StatusOK, &grant.Request{Audience: server, Entitlement: &grant.Entitlement{Everything: true}})
}

// Entitlement serves POST /authz/entitlement/{client_id}: an RPT with the permissions that
// the body names.
func (f *Face) Entitlement(x *wire.Exchange) error {
	body, err := f.request(x, "", "Invalid entitlement request.")
	if err != nil {
		return err
	}
	server, err := resourceServer(x, "Identifier is not associated with any resource server.")
	if err != nil {
		return err
	}
	if err := onlyMembers(body, "permissions", "rpt", "metadata"); err != nil {
		return err
	}
	req, err := parseCommon(body)
	if err != nil {
		return err
	}
	req.Audience = server
	if req.Entitlement.Permissions, err = parseEntitlements(body); err != nil {
		return err
	}
	return f.answer(x, http.StatusOK, req)
}

// rules are those of the UMA grant for this face.
var rules = grant.Rules{Entitlements: true}

func (f *Face) answer(x *wire.Exchange, status int, req *grant.Request) error {
	req.Rules = rules
	answer, err := f.Core.Grant.Token(x.Context(), x.Realm, &x.Caller, req)
	x.Note(answer)
	if err != nil {
		return err
	}
	return x.JSON(status, rptBody{answer.Token.Access})
}

// caller checks the bearer token, which may be an RPT of this API, and that it has a realm
// role, if that is not empty.
func (f *Face) caller(x *wire.Exchange, role string) error {
	if err := negotiate(x); err != nil {
		return err
	}
	id, err := f.Core.Bearer(x, uma.NoPAT, party.Acceptance{Types: []string{uma.TypeEntitlement}})
	switch {
	case err != nil:
		return err
	case role != "" && !id.HasRealmRole(role):
		return wire.Say(uma.InsufficientScope, "Requires "+role+" scope.", nil)
	}
	return nil
}

// request checks the caller and reads the object that is the body.
func (f *Face) request(x *wire.Exchange, role, missing string) (wire.Value, error) {
	if err := f.caller(x, role); err != nil {
		return wire.Value{}, err
	}
	body, err := x.Body()
	switch {
	case err != nil:
		return body, err
	case body.Kind == wire.Absent:
		return body, wire.Invalid(missing)
	case body.Kind != wire.Object:
		return body, wire.Invalid("The body must be an object")
	}
	return body, nil
}

// resourceServer returns the client_id of the resource server that the path names.
func resourceServer(x *wire.Exchange, unknown string) (string, error) {
	client := x.Realm.Clients[x.Param("server")]
	switch {
	case client == nil || !client.Enabled:
		return "", wire.Invalid(unknown)
	case !client.ResourceServer:
		return "", &wire.Refusal{Status: http.StatusForbidden, Code: "invalid_request", Description: "Client does not support permissions"}
	}
	return client.ID, nil
}
