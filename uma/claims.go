package uma

import (
	"fmt"
)

// The formats of claim tokens. Clients spell the first with http, documents with
// https.
const (
	FormatID      = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	FormatIDHTTPS = "https://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	FormatJWT     = "urn:ietf:params:oauth:token-type:jwt"
)

// ClaimTokenFormats are those that are understood.
func ClaimTokenFormats() []string { return []string{FormatID, FormatJWT} }

// maxPushed is how many bytes of claims a request or a ticket may push: they go into
// its record, and into the input of each of its evaluations.
const MaxPushed = 16 << 10

var ErrPushed = fmt.Errorf("pushed claims may have %d bytes", MaxPushed)

// sizeOfClaims is what pushed claims count for.
func SizeOfClaims(claims map[string][]string) (size int) {
	for name, values := range claims {
		size += len(name) + 4
		for _, v := range values {
			size += len(v) + 4
		}
	}
	return size
}
