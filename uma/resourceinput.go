package uma

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A ResourceInput is a resource description (FedAuthz §3.1), parsed but not yet
// believed.
type ResourceInput struct {
	Name, DisplayName, Type, IconURI string
	Owner                            string // subject id, username or client_id; empty: the caller
	URIs                             []string
	Scopes                           []Scope
	OwnerManaged                     bool
	Attributes                       map[string][]string // nil: not given
	Texts                            map[string]string   // see Resource

	// Strict takes it as Federated Authorization has it: a name is no must, and the
	// owner looks after the sharing.
	Strict bool
}

// A ResourceView is a resource as the answer to its creation shows it.
type ResourceView struct {
	*Resource
	OwnerName string
	ScopeRows []ScopeRow
}

// Limits of a resource description.
const (
	maxName    = 255  // bytes of a name, a type or a scope
	maxValue   = 4000 // bytes of a value of an attribute
	maxMembers = 200  // URIs, scopes or attributes

	maxOwnerSegments = 1000 // of the URIs that a user registers, together

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
	return checkText(string(s))
}

func checkText(s string) error {
	switch {
	case len(s) > maxName:
		return fmt.Errorf("is longer than %d bytes", maxName)
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

// check refuses what cannot be registered.
func (in *ResourceInput) check() error {
	bad := func(text string) error { return Refuse(InvalidRequest, text, nil) }
	if nameless := in.Strict && in.Name == ""; strings.TrimSpace(in.Name) == "" && !nameless {
		return bad("name is missing")
	}
	for _, m := range [][2]string{{"name", in.Name}, {"type", in.Type}, {"displayName", in.DisplayName}} {
		if err := checkText(m[1]); err != nil {
			return bad(m[0] + " " + err.Error())
		}
	}
	if len(in.URIs) > maxMembers || len(in.Scopes) > maxMembers || len(in.Attributes) > maxMembers {
		return bad(fmt.Sprintf("uris, scopes and attributes may have %d members each", maxMembers))
	}
	if err := in.checkTexts(); err != nil {
		return err
	}
	for name, values := range in.Attributes {
		if checkText(name) != nil || len(values) > maxMembers || slices.ContainsFunc(values, func(v string) bool { return len(v) > maxValue }) {
			return bad(fmt.Sprintf("attributes: names have at most %d bytes, and at most %d values of %d bytes each", maxName, maxMembers, maxValue))
		}
	}
	if AttributesSize(in.Attributes, in.Texts) > MaxAttributes {
		return bad(fmt.Sprintf("attributes, descriptions and translations have more than %d bytes together", MaxAttributes))
	}
	for _, uri := range in.URIs {
		if err := CheckURI(uri); err != nil {
			return bad(err.Error())
		}
	}
	for _, s := range in.Scopes {
		if err := CheckScope(s); err != nil {
			return Refuse(InvalidScope, "Scope ["+string(s)+"] "+err.Error(), nil)
		}
	}
	if u, err := url.Parse(in.IconURI); err != nil || in.IconURI != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return bad("icon_uri is not an absolute http or https URL")
	}
	return nil
}

func (in *ResourceInput) checkTexts() error {
	if len(in.Texts) > maxMembers {
		return Refuse(InvalidRequest, fmt.Sprintf("descriptions and translations may be %d", maxMembers), nil)
	}
	for member, text := range in.Texts {
		if checkText(member) != nil || len(text) > maxValue {
			return Refuse(InvalidRequest, fmt.Sprintf("descriptions and translations have at most %d bytes each", maxValue), nil)
		}
	}
	return nil
}

func (in *ResourceInput) resource(p *Protection) *Resource {
	r := &Resource{
		Server: p.server.Key, Name: in.Name, DisplayName: in.DisplayName, Type: in.Type, IconURI: in.IconURI,
		URIs: in.URIs, Scopes: union(nil, in.Scopes), OwnerManaged: in.OwnerManaged, Attributes: in.Attributes,
		Texts: in.Texts, Origin: FromAPI,
	}
	if !p.isServer() {
		r.Origin = FromOwner
	}
	return r
}

// checkReach bounds the URIs that a user registers: each of their segments is compared
// with patterns of the resource server while other writes wait.
func (p *Protection) checkReach(in *ResourceInput) error {
	segments := 0
	for _, uri := range in.URIs {
		segments += strings.Count(uri, "/")
	}
	if !p.isServer() && segments > maxOwnerSegments {
		return Refuse(InvalidRequest, fmt.Sprintf("uris that a user registers may have %d segments together", maxOwnerSegments), nil)
	}
	return nil
}
