package uma

import (
	"errors"
	"fmt"
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

	// MaxAttributes is how many bytes attributes, descriptions and translations of a
	// resource have together. A request for many permissions reads those of each
	// resource, and lists hold a page of them for as long as a client takes.
	MaxAttributes = 16 << 10
)

// AttributesSize is how many bytes of MaxAttributes a resource has.
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

// CheckScope reports why a name is no scope name. `*` is how policies say
// everything, and `#` and `,` divide the permission parameter.
func CheckScope(s Scope) error {
	switch {
	case s == "" || s == Everything:
		return errors.New("is not a scope name")
	case strings.ContainsAny(string(s), "#,"):
		return errors.New("has a # or a comma, which no scope name may")
	}
	return CheckText(string(s))
}

func CheckText(s string) error {
	switch {
	case len(s) > MaxName:
		return fmt.Errorf("is longer than %d bytes", MaxName)
	case !IsText(s):
		return errors.New("has characters that are not text")
	}
	return nil
}

// IsText reports whether s is UTF-8 without characters that make it look like
// something else: control characters (terminals take U+009B for ESC [), those that
// turn the direction of writing, ends of lines and paragraphs, and invisible ones.
func IsText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) || isInvisible(r)
	})
}

// isInvisible reports whether two texts may look the same with r and without. Not counted
// are the joiners, which Persian, Indian scripts and emoji need, the selectors of variants
// (in unicode.Mn), which emoji and Chinese names need, and the formats that are drawn.
func isInvisible(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) &&
		!unicode.In(r, unicode.Prepended_Concatenation_Mark, unicode.Egyptian_Hieroglyphs)
}

// Limits on the scopes that a request names: of each permission, as many as a
// resource may have, and of all together. They are checked before a view is opened.
const (
	maxScopes    = MaxMembers
	maxAllScopes = 1000
)

// checkScopes refuses a request that names more scopes than that. One that is named
// twice counts once.
func CheckScopes(lists iter.Seq[[]Scope]) error {
	all := map[Scope]struct{}{}
	for list := range lists {
		if len(list) > maxScopes && distinct(list) > maxScopes {
			return Refuse(InvalidRequest, fmt.Sprintf("More than %d scopes in one permission, or in the parameter scope", maxScopes), nil)
		}
		for _, s := range list {
			all[s] = struct{}{}
		}
		if len(all) > maxAllScopes {
			return Refuse(InvalidRequest, fmt.Sprintf("More than %d different scopes in one request", maxAllScopes), nil)
		}
	}
	return nil
}

func distinct(list []Scope) int {
	list = slices.Sorted(slices.Values(list))
	return len(slices.Compact(list))
}

// IsGroup reports whether a text is the path of a group, as realm files have them: a
// policy for any other would be for nobody.
func IsGroup(path string) bool {
	return len(path) > 1 && strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/") && !strings.Contains(path, "//")
}
