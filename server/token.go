package server

import (
	"errors"
	"net/http"
	"strings"

	"example.com/umpire/server/keycloak"
	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/grant"
	"example.com/umpire/uma/party"
)

const umaTicket = "urn:ietf:params:oauth:grant-type:uma-ticket"

// A style says what differs between faces at the token endpoint; the zero value is
// Keycloak's.
type style struct {
	strict bool // answers have the members of UMA 2.0 alone
	rules  grant.Rules

	// A claim token needs its format and a format needs a token (UMA Grant §3.3.1). Clients
	// of other vendors send no format with their ID tokens.
	format bool

	jwt bool // tickets are JWTs
}

// showTokens returns the body of the answer to a sign-in or a refresh.
func (st style) showTokens(t *party.Tokens) any {
	if st.strict && t.RPT {
		return uma2.ShowRPT(t, false)
	}
	return keycloak.ShowTokens(t)
}

// showRPT returns the body of the answer to the UMA grant.
func (st style) showRPT(a *grant.Answer) any {
	if st.strict {
		return uma2.ShowRPT(a.Token, a.Upgraded)
	}
	return keycloak.ShowRPT(a.Token, a.Upgraded)
}

// token serves the token endpoint: the UMA grant (UMA Grant §3.3.1, with Keycloak's
// parameters) and the grants of RFC 6749 that need no browser.
func (s *server) token(st style) wire.Handler {
	return func(x *wire.Exchange) error {
		err := s.serveGrant(x, st)
		if e, ok := errors.AsType[*uma.Error](err); ok && st.jwt && e.Ticket != "" {
			jwt, failed := s.core.Protection.TicketJWT(x.Context(), x.Realm, e.Ticket, e.Interval)
			if failed != nil {
				return failed
			}
			e.Ticket = jwt
		}
		return err
	}
}

// serveGrant reads a token request and answers it, by its grant type.
func (s *server) serveGrant(x *wire.Exchange, st style) error {
	if err := x.RefuseForeign(string(s.core.PublicURL)); err != nil {
		return err
	}
	form, err := x.Form("permission")
	if err != nil {
		return err
	}
	if err := s.credentials(x, form); err != nil {
		return err
	}
	grantType := form.Get("grant_type")
	if grantType == umaTicket {
		grant := func() error { return s.umaGrant(x, form, st) }
		if form.Get("ticket") == "" { // nothing is guessed
			return grant()
		}
		return s.limitGuesses(x, grant)
	}
	if len(form.All("permission")) > 1 {
		return wire.Invalid("duplicated parameter: permission")
	}
	if grantType == tokenExchange {
		return s.exchange(x, form)
	}
	var res *party.Tokens
	scope := form.Get("scope")
	switch grantType {
	case "client_credentials":
		res, err = s.clientCredentials(x, scope)
	case "password":
		res, err = s.password(x, form, scope)
	case "refresh_token":
		res, err = s.refresh(x, form.Get("refresh_token"), scope)
	case "":
		return wire.Invalid("Missing form parameter: grant_type")
	default:
		return uma.Reject(uma.UnsupportedGrantType, uma.Fault{}, nil)
	}
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, st.showTokens(res))
}

func (s *server) clientCredentials(x *wire.Exchange, scope string) (*party.Tokens, error) {
	client, err := s.core.Authenticate(x)
	if err != nil {
		return nil, err
	}
	return s.core.Party.ClientCredentials(x.Context(), x.Realm, client, scope)
}

func (s *server) refresh(x *wire.Exchange, token, scope string) (*party.Tokens, error) {
	if token == "" {
		return nil, wire.Invalid("No refresh token")
	}
	client, err := s.core.Authenticate(x)
	if err != nil {
		return nil, err
	}
	return s.core.Party.Refresh(x.Context(), x.Realm, client, token, scope)
}

// umaGrant exchanges a ticket, or named permissions, for an RPT. If the request has a bearer
// token, the core ignores the client's credentials.
func (s *server) umaGrant(x *wire.Exchange, form wire.Form, st style) error {
	if st.format && (form.Get("claim_token") == "") != (form.Get("claim_token_format") == "") {
		return wire.Invalid("claim_token and claim_token_format must come together")
	}
	req, err := parseTokenRequest(form)
	if err != nil {
		return err
	}
	req.Rules = st.rules
	answer, err := s.core.Grant.Token(x.Context(), x.Realm, &x.Caller, req)
	x.Note(answer)
	if err != nil {
		return err
	}
	switch req.Mode {
	case grant.ModeDecision:
		return x.JSON(http.StatusOK, decisionBody{Result: true})
	case grant.ModePermissions:
		return x.JSON(http.StatusOK, answer.Permissions)
	}
	return x.JSON(http.StatusOK, st.showRPT(answer))
}

// A decisionBody answers response_mode=decision.
type decisionBody struct {
	Result bool `json:"result"`
}

// parseTokenRequest reads the parameters of the UMA grant. Those that name what
// is asked for, or narrow it, must not be empty (design §4, "Empty is not all");
// other parameters may be empty, which means that they are absent: clients send them so.
func parseTokenRequest(form wire.Form) (*grant.Request, error) {
	if form.Has("resource") { // RFC 8707 §2: the ticket or the audience says whom the RPT is for
		return nil, uma.Reject(uma.InvalidTarget, uma.Fault{}, nil)
	}
	req := &grant.Request{
		Audience:         form.Get("audience"),
		ClaimTokenFormat: form.Get("claim_token_format"),
	}
	filled := []struct {
		name  string
		value *string
	}{
		{"ticket", &req.Ticket},
		{"rpt", &req.RPT},
		{"claim_token", &req.ClaimToken},
		{"subject_token", &req.SubjectToken},
	}
	var err error
	for _, p := range filled {
		if *p.value, err = form.Filled(p.name); err != nil {
			return nil, err
		}
	}
	if req.Permissions, err = parsePermissions(form.All("permission")); err != nil {
		return nil, err
	}
	for _, scope := range strings.Fields(form.Get("scope")) {
		req.Scopes = append(req.Scopes, uma.Scope(scope))
	}
	return req, parseResponseOptions(form, req)
}

// parseResponseOptions reads the parameters that say how to read the others and
// what to answer.
func parseResponseOptions(form wire.Form, req *grant.Request) error {
	format, err := form.Filled("permission_resource_format")
	switch {
	case err != nil:
		return err
	case format == "uri":
		req.ByURI = true
	case format != "" && format != "id":
		return wire.Invalid("permission_resource_format must be id or uri")
	}
	if req.MatchingURI, _, err = form.Bool("permission_resource_matching_uri"); err != nil {
		return err
	}
	submit, present, err := form.Bool("submit_request")
	if err != nil {
		return err
	}
	req.NoSubmit = present && !submit
	names, present, err := form.Bool("response_include_resource_name")
	if err != nil {
		return err
	}
	req.WithoutNames = present && !names
	if req.Limit, err = form.Int("response_permissions_limit", 1, 0); err != nil {
		return err
	}
	switch req.Mode = form.Get("response_mode"); req.Mode {
	case grant.ModeToken, grant.ModeDecision, grant.ModePermissions:
		return nil
	}
	return wire.Invalid("Invalid response_mode")
}

// parsePermissions reads the `permission` parameters: RESOURCE, RESOURCE#scope,scope
// or #scope. Blanks around each part are ignored, because clients send them.
func parsePermissions(values []string) ([]grant.AskedPermission, error) {
	permissions := make([]grant.AskedPermission, 0, len(values))
	for _, v := range values {
		resource, scopes, more := strings.Cut(v, "#")
		p := grant.AskedPermission{Resource: strings.TrimSpace(resource)}
		for more {
			var scope string
			scope, scopes, more = strings.Cut(scopes, ",")
			if scope = strings.TrimSpace(scope); scope == "" {
				return nil, wire.Invalid("permission has an empty scope")
			}
			p.Scopes = append(p.Scopes, uma.Scope(scope))
		}
		if p.Resource == "" && p.Scopes == nil {
			return nil, wire.Invalid("permission is empty")
		}
		permissions = append(permissions, p)
	}
	return permissions, nil
}
