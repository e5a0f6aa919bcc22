package wire

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a form, in characters and parameters. Keycloak has had the first
// since 26.5.7, and 20,000 for tokens: an RPT of policy.max_permissions (200)
// with names is longer than that.
const (
	maxValue  = 4_000
	maxToken  = 60_000 // of a parameter that holds a token
	maxNames  = 100    // parameters that may not repeat
	maxRepeat = 2_000  // values of those that may
)

// A Form holds the parameters of a body or of a query, in order.
type Form []field

type field struct{ name, value string }

// ParseForm reads application/x-www-form-urlencoded text. Parameters other than
// those in repeat may come once (RFC 6749 §3.2).
//
// It is not url.ParseQuery: that drops what it cannot read, and refuses the raw
// semicolons of clients that do not encode their bodies.
func ParseForm(text string, repeat ...string) (Form, error) {
	form := make(Form, 0, 8)
	names := 0
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		if pair == "" {
			continue
		}
		f, err := parsePair(pair)
		if err != nil {
			return nil, err
		}
		if mayRepeat(f.name, repeat) {
			if len(form) >= maxRepeat {
				return nil, Invalid("too many parameters")
			}
			form = append(form, f)
			continue
		}
		if names++; names > maxNames {
			return nil, Invalid("too many parameters")
		}
		if form.Has(f.name) {
			return nil, Invalid("duplicated parameter: " + f.name)
		}
		form = append(form, f)
	}
	return form, nil
}

func parsePair(pair string) (field, error) {
	name, value, _ := strings.Cut(pair, "=")
	name, err := url.QueryUnescape(name)
	if err != nil || !Readable(name) || len(name) > maxValue {
		return field{}, Invalid("a parameter's name cannot be read")
	}
	value, err = url.QueryUnescape(value)
	if err != nil || !Readable(value) {
		return field{}, Invalid(name + " cannot be read")
	}
	limit := maxValue
	if holdsToken(name) {
		limit = maxToken
	}
	if len(value) > limit && utf8.RuneCountInString(value) > limit {
		return field{}, Invalid(name + " is too long")
	}
	return field{name, value}, nil
}

// Readable reports whether s is UTF-8 text without NUL, which some databases
// and many programs end strings at.
func Readable(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

func mayRepeat(name string, repeat []string) bool {
	for _, r := range repeat {
		if name == r {
			return true
		}
	}
	return false
}

func holdsToken(name string) bool {
	switch name {
	case "token", "ticket", "rpt", "pct", "access_token", "refresh_token", "id_token_hint",
		"claim_token", "subject_token", "actor_token", "assertion", "client_assertion":
		return true
	}
	return false
}

// Has reports whether the parameter is present, be it empty.
func (f Form) Has(name string) bool {
	for i := range f {
		if f[i].name == name {
			return true
		}
	}
	return false
}

// Get returns the value of a parameter, or "".
func (f Form) Get(name string) string {
	for i := range f {
		if f[i].name == name {
			return f[i].value
		}
	}
	return ""
}

// All returns the values of a parameter that may repeat.
func (f Form) All(name string) []string {
	var values []string
	for i := range f {
		if f[i].name == name {
			values = append(values, f[i].value)
		}
	}
	return values
}

// Filled returns the value of a parameter that is absent or has a value.
// Present and empty it is refused: empty must not mean "any".
func (f Form) Filled(name string) (string, error) {
	v := f.Get(name)
	if v == "" && f.Has(name) {
		return "", Invalid(name + " is empty")
	}
	return v, nil
}

// Bool returns the value of a parameter that says true or false, in any case,
// and whether it is there.
func (f Form) Bool(name string) (value, present bool, err error) {
	switch v := f.Get(name); {
	case strings.EqualFold(v, "true"):
		return true, true, nil
	case strings.EqualFold(v, "false"):
		return false, true, nil
	case !f.Has(name):
		return false, false, nil
	}
	return false, true, Invalid(name + " must be true or false")
}

// Int returns the value of a parameter that is a decimal number of at least
// least, or absent when it is not there.
func (f Form) Int(name string, least, absent int) (int, error) {
	if !f.Has(name) {
		return absent, nil
	}
	v := f.Get(name)
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || v[0] == '+' || int(n) < least {
		return 0, Invalid(name + " must be a number of at least " + strconv.Itoa(least))
	}
	return int(n), nil
}
