package pingam

import (
	"net/http"

	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
	"example.com/umpire/uma/account"
)

// A pending is the representation of a pending request.
type pending struct {
	ID          string      `json:"_id"`
	User        string      `json:"user"`
	Resource    string      `json:"resource"` // its name
	When        int64       `json:"when"`     // milliseconds
	Permissions []uma.Scope `json:"permissions"`
}

func showPending(p *account.PendingRequest) pending {
	scopes := p.Scopes
	if len(p.Resource.Scopes) == 0 {
		scopes = []uma.Scope{} // the resource as a whole
	}
	return pending{p.ID, p.User.Username, p.Resource.Name, p.When.UnixMilli(), scopes}
}

// ListRequests serves GET /pendingrequests?_queryFilter=true.
func (f *Face) ListRequests(x *wire.Exchange, o *account.Owner) error {
	params, err := x.Query()
	if err != nil {
		return err
	}
	p, err := parsePage(params)
	switch {
	case err != nil:
		return err
	case params.Get("_queryFilter") != "true":
		return wire.Invalid("_queryFilter must be true")
	case params.Has("_sortKeys"):
		return wire.Invalid("_sortKeys is not supported here")
	case p.offset != 0:
		return wire.Invalid("_pagedResultsOffset is not supported here: use _pagedResultsCookie")
	}
	rows, err := f.Core.Account.PendingRequests(x.Context(), o, params.Get("_pagedResultsCookie"), p.size+1)
	if err != nil {
		return err
	}
	shown := make([]pending, len(rows))
	for i := range rows {
		shown[i] = showPending(&rows[i])
	}
	return list(x, shown, p, func(last pending) string { return last.ID })
}

// ReadRequest serves GET /pendingrequests/{id}.
func (f *Face) ReadRequest(x *wire.Exchange, o *account.Owner) error {
	p, err := f.Core.Account.PendingRequest(x.Context(), o, x.Param("id"))
	switch {
	case refusedFor(err, uma.NotFound), refusedFor(err, uma.Conflict): // it is no longer pending
		return noRequest(x.Param("id"))
	case err != nil:
		return err
	}
	return x.JSON(http.StatusOK, showPending(p))
}

// Answer serves POST /pendingrequests/{id}?_action=approve|deny. If some scopes are approved,
// the others are denied.
func (f *Face) Answer(x *wire.Exchange, o *account.Owner) error {
	approve, scopes, err := readAnswer(x, "approve", "deny")
	if err != nil {
		return err
	}
	id := x.Param("id")
	err = f.Core.Account.AnswerRequest(x.Context(), o, id, approve, scopes)
	switch {
	case refusedFor(err, uma.NotFound):
		return noRequest(id)
	case err != nil:
		return err
	}
	return x.JSON(http.StatusOK, struct{}{})
}

// AnswerAll serves POST /pendingrequests?_action=approveAll|denyAll.
func (f *Face) AnswerAll(x *wire.Exchange, o *account.Owner) error {
	approve, scopes, err := readAnswer(x, "approveAll", "denyAll")
	if err != nil {
		return err
	}
	if _, err := f.Core.Account.AnswerAll(x.Context(), o, approve, scopes); err != nil {
		return err
	}
	return x.JSON(http.StatusOK, struct{}{})
}

// readAnswer reads the answer of the owner, and the approved scopes.
func readAnswer(x *wire.Exchange, yes, no string) (approve bool, scopes []uma.Scope, err error) {
	params, err := x.Query()
	if err != nil {
		return false, nil, err
	}
	switch params.Get("_action") {
	case no:
		return false, nil, nil
	case yes:
	default:
		return false, nil, wire.Invalid("_action must be " + yes + " or " + no)
	}
	// PingAM's documentation sends the body with curl's default type, a form. That is safe,
	// because the answer needs a bearer token, which no browser sends by itself.
	body, err := x.UntypedBody()
	if err != nil {
		return false, nil, err
	}
	scopes, err = parseApproved(body)
	return true, scopes, err
}

// parseApproved reads the approved scopes: nil for all that were asked for. An empty list is
// refused: it might be meant as a denial.
func parseApproved(v wire.Value) ([]uma.Scope, error) {
	if v.Kind == wire.Absent {
		return nil, nil
	}
	if v.Kind != wire.Object {
		return nil, wire.Invalid("The body must be a JSON object")
	}
	var approved []uma.Scope
	for _, m := range v.Members {
		if m.Name != "scopes" && m.Name != "permissions" {
			continue
		}
		scopes, err := v.Scopes(m.Name)
		switch {
		case err != nil:
			return nil, err
		case len(scopes) == 0:
			return nil, wire.Invalid(m.Name + " must not be empty")
		case approved != nil:
			return nil, wire.Invalid("scopes and permissions exclude one another")
		}
		approved = scopes
	}
	return approved, nil
}

// noRequest is also the answer for a request to another owner.
func noRequest(id string) error { return notFound("Pending request, " + id + ", not found") }
