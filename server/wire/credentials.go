package wire

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"example.com/umpire/uma"
)

// authorization takes a bearer token, or Basic credentials, from the headers.
// Names of schemes have no case (RFC 9110 §11.1); other schemes are ignored.
func (x *Exchange) authorization(headers []string) error {
	if len(headers) == 0 {
		return nil
	}
	if len(headers) > 1 {
		return Invalid("more than one Authorization header")
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	switch {
	case strings.EqualFold(scheme, "bearer"):
		x.Caller.HasBearer, x.Caller.Bearer = true, strings.TrimSpace(rest)
	case strings.EqualFold(scheme, "basic"):
		x.triedBasic, x.basic = true, strings.TrimSpace(rest)
	}
	return nil
}

// TriedBasic reports whether a client presents Basic credentials.
func (x *Exchange) TriedBasic() bool { return x.triedBasic }

// Credentials takes the client's id and secret from a Basic header or, in the
// form, from client_id and client_secret; or its assertion. Some clients send them in both (against
// RFC 6749 §2.3): what is there twice must be the same, else no one can tell
// which client asks.
func (x *Exchange) Credentials(form Form) error {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if x.triedBasic {
		name, password, ok := basicCredentials(x.basic)
		if !ok {
			return uma.Reject(uma.InvalidClient, uma.Fault{}, nil)
		}
		if id != "" && id != name || secret != "" && secret != password {
			return uma.Reject(uma.InvalidClient, uma.Fault{}, errors.New("the Authorization header and the form name different credentials"))
		}
		id, secret = name, password
	}
	x.Caller.ClientID, x.Caller.ClientSecret, x.Caller.HasSecret = id, secret, secret != ""
	return x.assertion(form)
}

// JWTBearer is the only client_assertion_type (RFC 7523 §2.2).
const JWTBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertion takes a client_assertion from the form. It comes beside no other credentials
// (RFC 6749 §2.3), not even empty ones.
func (x *Exchange) assertion(form Form) error {
	kind, assertion := form.Get("client_assertion_type"), form.Get("client_assertion")
	switch {
	case !form.Has("client_assertion_type") && !form.Has("client_assertion"):
		return nil
	case x.triedBasic || form.Has("client_secret"):
		return Invalid("The client authenticates in two ways: by client_assertion and by a secret")
	case kind != JWTBearer || assertion == "":
		return Invalid("client_assertion must come with client_assertion_type, which must be " + JWTBearer)
	}
	x.Caller.Assertion, x.Caller.HasAssertion = assertion, true
	return nil
}

// basicCredentials decodes what follows `Basic`. Some clients percent-encode
// both halves, as RFC 6749 §2.3.1 says, others send them raw:
// what decodes is decoded, but a plus stays a plus, as secrets have it more
// often than blanks.
func basicCredentials(encoded string) (id, secret string, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	id, secret = percentDecoded(id), percentDecoded(secret)
	return id, secret, ok && Readable(id) && Readable(secret)
}

func percentDecoded(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		return d
	}
	return s
}

// OneToken refuses an access token that comes in two ways (RFC 6750 §2): one of
// them may be somebody else's. One in the query alone is not looked at.
func (x *Exchange) OneToken() error {
	query, err := x.Query()
	switch {
	case err != nil:
		return err
	case x.Caller.HasBearer && query.Has("access_token"):
		return Invalid("the access token comes in two ways")
	}
	return nil
}
