package party

// A Caller is what a request says of who makes it, not yet believed.
type Caller struct {
	// Bearer is the token of an `Authorization: Bearer` header. A header with an
	// empty token is HasBearer with an empty Bearer: present and invalid.
	Bearer    string
	HasBearer bool

	// ClientID and ClientSecret are from a Basic header or the form.
	ClientID, ClientSecret string
	HasSecret              bool

	// Assertion is a client_assertion (RFC 7523 §2.2) instead of a secret. AuthenticateAhead
	// verifies it.
	Assertion    string
	HasAssertion bool
	asserted     bool // it was that of the client ClientID, and is spent

	IP        string // of the connection, or what a trusted proxy says; "" when that says no address
	UserAgent string
	RequestID string
	TraceID   string
}
