package trust

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"example.com/umpire/strictjson"
	"example.com/umpire/uma"
)

// The bounds of a token.
const (
	maxToken  = 64 << 10 // bytes
	maxHeader = 4 << 10  // bytes, decoded
	maxDepth  = 32       // of values in values
	maxNumber = 64       // bytes of a number
)

// Why a token is not believed. No text quotes the token.
var (
	errTokenTooLong = fmt.Errorf("it is longer than %d KiB", maxToken>>10)
	errNoJWT        = errors.New("it is not a signed JWT; opaque and encrypted tokens are not accepted")
	errLineEnd      = errors.New("it has a line end")
	errSignature    = errors.New("its signature is not valid")
	errHeader       = errors.New("its header cannot be read")
	errHeaderType   = errors.New("its header has a typ that is not one of access tokens and ID tokens")
	errPayload      = errors.New("its claims cannot be read")
	errExpired      = errors.New("it has expired")
	errTooEarly     = errors.New("it is not valid yet: its nbf or iat is in the future")
)

// A signedToken is a JWT that was read, and not believed yet.
type signedToken struct {
	raw    string
	header header
	claims claims
}

// A header has the members of a JOSE header that matter (RFC 7515 §4.1).
type header struct{ alg, kid, typ string }

// parse reads a JWT in compact form (RFC 7515 §7.1), strictly: what go-jose reads afterwards
// can be read in one way only. Its error is one of those above.
func parse(raw string) (*signedToken, error) {
	switch {
	case len(raw) > maxToken:
		return nil, errTokenTooLong
	case strings.Count(raw, ".") != 2:
		return nil, errNoJWT
	case strings.ContainsAny(raw, "\r\n"): // Go's base64 skips them: one token could be written in many ways
		return nil, errLineEnd
	}
	parts := strings.Split(raw, ".")
	var texts [3][]byte
	for i, part := range parts {
		var err error
		if texts[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return nil, errNoJWT
		}
	}
	if len(texts[2]) == 0 {
		return nil, errSignature
	}
	h, err := readHeader(texts[0])
	if err != nil {
		return nil, err
	}
	c, err := readObject(texts[1], registeredClaims)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	return &signedToken{raw, h, c}, nil
}

// Members of a header that have a meaning for this server. Those that are not allowed would
// bring a key, change what is signed, or ask for what this server does not do.
var (
	headerMembers    = []string{"alg", "kid", "typ"}
	forbiddenMembers = []string{"crit", "jku", "x5u", "jwk", "b64", "zip", "enc"}
)

func readHeader(text []byte) (h header, err error) {
	if len(text) > maxHeader {
		return h, errHeader
	}
	members, err := readObject(text, slices.Concat(headerMembers, forbiddenMembers))
	if err != nil {
		return h, fmt.Errorf("%w: %w", errHeader, err)
	}
	for _, name := range forbiddenMembers {
		if _, ok := members[name]; ok {
			return h, fmt.Errorf("its header has %s, which is not allowed", name)
		}
	}
	for name, into := range map[string]*string{"alg": &h.alg, "kid": &h.kid, "typ": &h.typ} {
		if value, ok := members[name]; ok {
			if *into, ok = value.(string); !ok || *into == "" {
				return h, fmt.Errorf("%w: %s is not a text", errHeader, name)
			}
		}
	}
	if !slices.Contains(uma.SignatureAlgorithms(), h.alg) {
		return h, errors.New("its alg is none that is verified by a public key")
	}
	return h, nil
}

// checkSignature checks the signature by a key that fits the algorithm.
func (t *signedToken) checkSignature(key *Key) error {
	jws, err := jose.ParseSignedCompact(t.raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(t.header.alg)})
	if err != nil {
		return errHeader // its error could quote the token
	}
	if _, err := jws.Verify(key.Public); err != nil {
		return errSignature
	}
	return nil
}

// readObject reads a JSON object. Two programs read it alike: no name is there twice in one
// object, none of its members differs from another, or from a known one, by case alone, and
// numbers are as they were written, of a size that a float64 has.
func readObject(text []byte, known []string) (map[string]any, error) {
	if !utf8.Valid(text) || !json.Valid(text) {
		return nil, errors.New("it is not JSON")
	}
	r := strictjson.New(string(text))
	if r.Next() != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	v, err := readValue(r, 0)
	if err != nil {
		return nil, err
	}
	object := v.(map[string]any)
	folded := make(map[string]string, len(object)+len(known))
	for _, name := range known {
		folded[fold(name)] = name
	}
	for name := range object {
		if other, ok := folded[fold(name)]; ok && other != name {
			return nil, errors.New("the name of a member differs from another by case alone")
		}
		folded[fold(name)] = name
	}
	return object, nil
}

// fold maps names that encoding/json and others would take for one to one text: also "ſub",
// with a long s.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

func readValue(r *strictjson.Reader, depth int) (v any, err error) {
	if depth > maxDepth {
		return nil, errors.New("its values are nested too deeply")
	}
	switch r.Next() {
	case '{':
		object := map[string]any{}
		err := r.Object(func(name string) (err error) {
			object[name], err = readValue(r, depth+1)
			return err
		})
		if _, repeated := errors.AsType[*strictjson.RepeatedError](err); repeated {
			err = errors.New("a member is there twice") // without its name, which is of the token
		}
		return object, err
	case '[':
		list := []any{}
		err := r.Array(func() error {
			element, err := readValue(r, depth+1)
			list = append(list, element)
			return err
		})
		return list, err
	case '"':
		return r.Text()
	}
	switch word := r.Word(); word {
	case "true", "false":
		return word == "true", nil
	case "null":
		return nil, nil
	default:
		return readNumber(word)
	}
}

// readNumber refuses numbers whose exponent would make a program that computes exactly, such as
// OPA, write millions of digits.
func readNumber(word string) (json.Number, error) {
	f, err := strconv.ParseFloat(word, 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(word), "e")
	if len(word) > maxNumber || err != nil || f == 0 && strings.ContainsAny(mantissa, "123456789") {
		return "", errors.New("a number is too long, too large or too small")
	}
	return json.Number(word), nil
}
