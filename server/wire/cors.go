package wire

import (
	"net/http"
	"slices"
	"strings"
)

// allowReaders lets web pages read the answer: anyone what is
// public, else those of the client that asked, by name and with credentials.
// Errors too: a page must be able to read why.
func (x *Exchange) allowReaders(h http.Header) {
	if x.readers == Anyone {
		h["Access-Control-Allow-Origin"] = anybody
		return
	}
	h["Vary"] = byOrigin
	if !x.mayRead() {
		return
	}
	h["Access-Control-Allow-Origin"] = []string{x.origin}
	h["Access-Control-Allow-Credentials"] = []string{"true"}
	h["Access-Control-Expose-Headers"] = []string{"Access-Control-Allow-Methods"}
	if h["Link"] != nil {
		h["Access-Control-Expose-Headers"] = []string{"Access-Control-Allow-Methods, Link"}
	}
}

// mayRead reports whether the answer is for the page that asks.
func (x *Exchange) mayRead() bool {
	if client := x.Client; client != nil {
		return x.origin != "" && slices.Contains(client.WebOrigins, x.origin)
	}
	return x.readers == Registered && x.registered()
}

// Preflight answers an OPTIONS request (Fetch §3.2.2). It comes without
// credentials, so that any origin known to the realm may ask.
func (x *Exchange) Preflight(methods []string) error {
	h := x.Header()
	h["Allow"] = []string{strings.Join(methods, ", ")}
	if x.readers != Anyone {
		h["Vary"] = byOrigin
		if !x.registered() {
			return x.Empty(http.StatusNoContent)
		}
		h["Access-Control-Allow-Origin"] = []string{x.origin}
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
	h["Access-Control-Allow-Methods"] = h["Allow"]
	h["Access-Control-Allow-Headers"] = []string{"Accept, Accept-API-Version, Authorization, Content-Type, If-Match, If-None-Match, X-Requested-With"}
	h["Access-Control-Max-Age"] = []string{"600"}
	return x.Empty(http.StatusNoContent)
}

func (x *Exchange) registered() bool {
	return x.origin != "" && x.Realm != nil && x.Realm.AllowsOrigin(x.origin)
}

// RefuseForeign refuses pages of an origin that no client of the realm has, as
// Keycloak does at the token endpoint, before anything is done for them. The
// server's own pages are none.
func (x *Exchange) RefuseForeign(publicURL string) error {
	if x.origin == "" || x.registered() || ownOrigin(publicURL, x.origin) {
		return nil
	}
	return &Refusal{Status: http.StatusForbidden, Code: "access_denied", Description: "Origin not allowed"}
}

// ownOrigin reports whether a URL is one of the origin's.
func ownOrigin(url, origin string) bool {
	rest, ok := strings.CutPrefix(url, origin)
	return ok && (rest == "" || rest[0] == '/')
}
