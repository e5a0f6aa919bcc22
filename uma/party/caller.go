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

	IP        string // of the connection, or what a trusted proxy says; "" when that says no address
	UserAgent string
	RequestID string
	TraceID   string
}
