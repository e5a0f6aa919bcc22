package party

import (
	"example.com/umpire/uma"
)

// A Caller is what a request says of who makes it, and, as the Authority learns
// it, who that is.
type Caller struct {
	// Bearer is the token of an `Authorization: Bearer` header. A header with an
	// empty token is HasBearer with an empty Bearer: present and bad.
	Bearer    string
	HasBearer bool

	// ClientID and ClientSecret are from a Basic header or the form.
	ClientID, ClientSecret string
	HasSecret              bool

	IP        string // of the connection, or what a trusted proxy says; "" when that says no address
	UserAgent string
	RequestID string
	TraceID   string

	// Decided are the decision records of the request, once they are stored: of one
	// its id, of several the batch_decision_id that they share, and how many.
	Decided struct {
		ID, Batch string
		Count     int
	}

	// Client is set by grant.Service, once the client is authenticated or known by a
	// verified token.
	Client *uma.Client
}
