package uma

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a resource description.
const (
	MaxName    = 255  // bytes of a name, a type or a scope
	MaxValue   = 4000 // bytes of a value of an attribute
	MaxMembers = 200  // URIs, scopes or attributes

	MaxOwnerSegments = 1000 // of the URIs that a user registers, together

	// MaxAttributes limits the bytes of a resource's attributes, descriptions and
	// translations together. A request for many permissions reads them for each
	// resource, and a list keeps a page of them in memory while a slow client reads it.
	MaxAttributes = 16 << 10
)

// AttributesSize returns how many bytes a resource has that MaxAttributes limits.
func AttributesSize(attributes map[string][]string, texts map[string]string) int {
	n := 0
	for name, values := range attributes {
		n += len(name)
		for _, v := range values {
			n += len(v)
		}
	}
	for member, text := range texts {
		n += len(member) + len(text)
	}
	return n
}

// CheckScope returns what is wrong with the name of a scope, or the zero Fault. `*` is
// how policies say everything, and `#` and `,` divide the permission parameter.
func CheckScope(s Scope) Fault {
	f := Fault{Scopes: []Scope{s}}
	switch {
	case s == "" || s == Everything:
		f.Kind = NoScopeName
	case strings.ContainsAny(string(s), "#,"):
		f.Kind = ScopeHasSeparator
	case len(s) > MaxName:
		f.Kind, f.Limit = ScopeTooLong, MaxName
	case !IsText(string(s)):
		f.Kind = ScopeNotText
	default:
		return Fault{}
	}
	return f
}

// CheckText returns what is wrong with the text of a parameter that is a name, or the
// zero Fault.
func CheckText(parameter, s string) Fault {
	switch {
	case len(s) > MaxName:
		return Fault{Kind: TooLong, Parameter: parameter, Limit: MaxName}
	case !IsText(s):
		return Fault{Kind: NotText, Parameter: parameter}
	}
	return Fault{}
}

// IsText reports whether s is UTF-8 without characters that could disguise it: control
// characters (terminals read U+009B as ESC [), those that change the direction of
// writing, line and paragraph separators, and invisible ones.
func IsText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || isInvisible(r)
	})
}

// isInvisible reports whether a text looks the same with and without r. It is false for
// the joiners, which Persian, Indian scripts and emoji need, for variation selectors (in
// unicode.Mn), which emoji and Chinese names need, and for format characters that are
// drawn.
func isInvisible(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) &&
		!unicode.In(r, unicode.Prepended_Concatenation_Mark, unicode.Egyptian_Hieroglyphs)
}

// EmailAddress returns an e-mail address as addresses are compared, with the letters of ASCII
// in lower case, and its domain. !ok: the text is no address that anything could be shared
// with.
func EmailAddress(text string) (address, domain string, ok bool) {
	if len(text) > MaxName || !IsText(text) || strings.ContainsFunc(text, unicode.IsSpace) {
		return "", "", false
	}
	address = strings.Map(func(r rune) rune { // no other letters: a Kelvin sign is no k
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, text)
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", "", false
	}
	return address, domain, true
}

// Limits on the scopes that a request names: in each permission, as many as a resource
// may have, and in all permissions together. They are checked before a view is opened.
const (
	maxScopes    = MaxMembers
	maxAllScopes = 1000
)

// CheckScopes refuses a request that names more scopes than that. One that is named
// twice counts once.
func CheckScopes(lists iter.Seq[[]Scope]) error {
	count := 0 // of all: a usual request names few, and needs no set
	for list := range lists {
		count += len(list)
	}
	if count <= min(maxScopes, maxAllScopes) {
		return nil
	}
	all := map[Scope]struct{}{}
	for list := range lists {
		if len(list) > maxScopes && distinct(list) > maxScopes {
			return Reject(InvalidRequest, Fault{Kind: TooManyScopes, Limit: maxScopes}, nil)
		}
		for _, s := range list {
			all[s] = struct{}{}
		}
		if len(all) > maxAllScopes {
			return Reject(InvalidRequest, Fault{Kind: TooManyDifferentScopes, Limit: maxAllScopes}, nil)
		}
	}
	return nil
}

func distinct(list []Scope) int {
	list = slices.Sorted(slices.Values(list))
	return len(slices.Compact(list))
}

// IsGroup reports whether a text is a path of a group as realm files have them. No user
// could be in any other group.
func IsGroup(path string) bool {
	return len(path) > 1 && strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/") && !strings.Contains(path, "//")
}
