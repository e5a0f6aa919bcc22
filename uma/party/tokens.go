package party

// Tokens are what a sign-in, a refresh or a UMA grant gives to a client. Only Access is
// always there.
type Tokens struct {
	Access, Refresh, ID string

	// For how many seconds the access token and the refresh token are valid.
	AccessExpiresIn, RefreshExpiresIn int64

	Session string // id
	Scope   string
	RPT     bool // the access token is an RPT
}
