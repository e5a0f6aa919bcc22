package uma

import "fmt"

// The formats of claim tokens. Clients spell the first with http, documents with
// https; the second list has the names of token exchange (RFC 8693 §3) for the same.
const (
	FormatID      = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	FormatIDHTTPS = "https://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	FormatJWT     = "urn:ietf:params:oauth:token-type:jwt"

	FormatIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	FormatAccessToken = "urn:ietf:params:oauth:token-type:access_token"
)

// ClaimTokenFormats returns the formats that the server accepts, each by its first name.
func ClaimTokenFormats() []string { return []string{FormatID, FormatJWT} }

// MaxPushed limits the bytes of the claims pushed with a request or a ticket, and of those
// that a claim token asserts: they go into the decision record and into the input of each
// evaluation.
const MaxPushed = 16 << 10

// ErrPushed says that pushed claims are larger than MaxPushed.
var ErrPushed = fmt.Errorf("pushed claims may have %d bytes", MaxPushed)

// SizeOfClaims returns the size of pushed claims that MaxPushed limits.
func SizeOfClaims(claims map[string][]string) (size int) {
	for name, values := range claims {
		size += len(name) + 4
		for _, v := range values {
			size += len(v) + 4
		}
	}
	return size
}
