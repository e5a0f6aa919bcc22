package pingam

import (
	"net/http"

	"example.com/umpire/server/uma2"
	"example.com/umpire/server/wire"
	"example.com/umpire/uma"
)

// Dialect is how the face says refusals.
var Dialect = wire.Dialect{Words: words}

// JSONDialect is that of the /json endpoints.
var JSONDialect = wire.Dialect{Words: jsonWords, Body: showError}

// words are those of the specifications with PingAM's descriptions.
func words(e *uma.Error) wire.Refusal {
	r := uma2.Words(e)
	switch e.Reason {
	case uma.UnusableTicket:
		r.Description = "The provided access grant is invalid, expired, or revoked."
	case uma.Submitted:
		r.Description = "The client is not authorised to access the requested resource set. " +
			"A request has been submitted to the resource owner requesting access to the resource"
	}
	return r
}

// jsonWords are those for owners, who sign in as users and know no PATs.
func jsonWords(e *uma.Error) wire.Refusal {
	r := uma2.Words(e)
	switch e.Reason {
	case uma.InvalidToken:
		r.Description = "Access Denied"
	case uma.UnknownUser:
		r.Status, r.Description = http.StatusBadRequest, "There is no such user"
	case uma.Conflict:
		r.Status = http.StatusConflict
	}
	return r
}

// An errorBody is how the /json endpoints say what is wrong.
type errorBody struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func showError(r *wire.Refusal) any {
	reason := http.StatusText(r.Status)
	if r.Description == "" {
		return errorBody{r.Status, reason, reason}
	}
	return errorBody{r.Status, reason, r.Description}
}

// notFound is the same whatever else there may be of that id: of another owner,
// of another realm, or nothing.
func notFound(message string) error {
	return &wire.Refusal{Status: http.StatusNotFound, Code: "not_found", Description: message}
}

func preconditionFailed(message string) error {
	return &wire.Refusal{Status: http.StatusPreconditionFailed, Code: "precondition_failed", Description: message}
}
