package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"example.com/umpire/uma"
)

// claims are those of a token. Numbers are json.Number.
type claims map[string]any

// registeredClaims have a meaning here. A claim that differs from one of them by case alone
// makes a token unreadable.
var registeredClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "client_id", "cnf", "typ", "events", "auth_time",
	"nonce", "at_hash", "c_hash", "s_hash", "idtyp", "gty", "email", "email_verified", "_claim_names", "hasgroups",
}

// maxDate is the last second of the year 9999.
const maxDate = 253402300799

// date returns a NumericDate (RFC 7519 §2), in whole seconds; 0 if it is not there.
func (c claims) date(name string) (int64, error) {
	value, ok := c[name]
	if !ok {
		return 0, nil
	}
	number, _ := value.(json.Number)
	seconds, err := strconv.ParseFloat(string(number), 64)
	if err != nil || seconds < 0 || seconds > maxDate {
		return 0, fmt.Errorf("its %s is not a date", name)
	}
	return int64(seconds), nil
}

// text returns a claim that is a text; empty if it is not there.
func (c claims) text(name string) (string, error) {
	value, ok := c[name]
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok || text == "" {
		return "", fmt.Errorf("its %s is not a text", name)
	}
	return text, nil
}

// expires returns the expiry, which a token must have.
func (c claims) expires() (int64, error) {
	exp, err := c.date("exp")
	if err == nil && exp == 0 {
		err = errors.New("it has no exp")
	}
	return exp, err
}

// notBefore returns the time from which a token is valid: not before it was issued.
func (c claims) notBefore() (int64, error) {
	nbf, err := c.date("nbf")
	if err != nil {
		return 0, err
	}
	iat, err := c.date("iat")
	return max(nbf, iat), err
}

// audience returns the audience, which may be a text or a list of texts (RFC 7519 §4.1.3).
func (c claims) audience() ([]string, error) {
	value, ok := c["aud"]
	if !ok {
		return nil, nil
	}
	list, ok := texts(value)
	if !ok {
		return nil, errors.New("its aud is neither a text nor a list of texts")
	}
	return list, nil
}

// client returns the client id that the token was issued to, by the issuer's map and by azp,
// which say the same if both are there; empty for none.
func (c claims) client(path uma.ClaimPath) (string, error) {
	azp, err := c.text("azp")
	if err != nil {
		return "", err
	}
	mapped, err := c.mappedText("client", path)
	switch {
	case err != nil:
		return "", err
	case mapped == "":
		return azp, nil
	case azp != "" && azp != mapped:
		return "", errors.New("it names two clients")
	}
	return mapped, nil
}

// check checks the members that a realm requires.
func (c claims) check(require map[string]any) error {
	for name, want := range require {
		switch want.(type) {
		case string, bool, json.Number:
			if got, ok := c[name]; ok && got == want {
				continue
			}
		}
		return fmt.Errorf("its %s is not what the realm file requires", name)
	}
	return nil
}

// kindOf says whether a token is an access token or an ID token: by the header (RFC 9068 §2.1)
// and Keycloak's claim typ, or by claims that only ID tokens have (OpenID Connect Core §2,
// §3.3.2.11). A token that names no client, but is for one, is an ID token, too. Any other
// kind is refused: `events` is of logout tokens and of security events (RFC 8417 §2.2).
func kindOf(headerType string, c claims, t *uma.TrustedToken) (uma.TokenKind, error) {
	if _, ok := c["events"]; ok {
		return "", errors.New("it is a logout token or a security event")
	}
	typ, err := c.text("typ")
	if err != nil {
		return "", err
	}
	access := headerType == "at+jwt"
	switch {
	case typ == "ID" && access:
		return "", errors.New("its typ and its header say different kinds of tokens")
	case typ == "ID":
		return uma.IDToken, nil
	case typ == "Bearer" || typ == "DPoP" || typ == "" && access:
		return uma.AccessToken, nil
	case typ != "":
		return "", errors.New("its typ is not one of access tokens and ID tokens")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, ok := c[name]; ok {
			return uma.IDToken, nil
		}
	}
	_, named := c["client_id"]
	isClient := func(aud string) bool { _, ok := t.Issuer.Clients[aud]; return ok }
	if t.ClientID == "" && !named && slices.ContainsFunc(t.Audience, isClient) {
		return uma.IDToken, nil
	}
	return uma.AccessToken, nil
}

// isApplication reports whether an application has the token for itself: its subject is the
// client, which Auth0 writes with a suffix, or Entra's idtyp or Auth0's gty say so. Keycloak
// names the user of a service account after the client. A user could choose that name, so that
// it counts only beside client_id, which Keycloak writes for service accounts alone.
func isApplication(c claims, t *uma.TrustedToken) bool {
	if c["idtyp"] == "app" || c["gty"] == "client-credentials" {
		return true
	}
	return t.ClientID != "" && (c["sub"] == t.ClientID || t.Subject == t.ClientID || c["sub"] == t.ClientID+"@clients" ||
		c["client_id"] == t.ClientID && c["preferred_username"] == "service-account-"+t.ClientID)
}

// texts returns a text, or a list of texts, as a list. None of them is empty.
func texts(value any) ([]string, bool) {
	switch v := value.(type) {
	case string:
		return []string{v}, v != ""
	case []any:
		list := make([]string, len(v))
		for i, element := range v {
			text, ok := element.(string)
			if !ok || text == "" {
				return nil, false
			}
			list[i] = text
		}
		return list, true
	}
	return nil, false
}
