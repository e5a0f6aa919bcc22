package realm

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"example.com/umpire/uma"
)

// maxPath is how many members the path of a claim may have.
const maxPath = 8

// defaultMap is where claims are if the file does not say so. E-mail addresses, groups, roles
// and attributes are nowhere: what an issuer may say of its parties is written down.
func defaultMap() uma.ClaimsMap {
	return uma.ClaimsMap{
		Subject: uma.SubjectPath{AccessToken: uma.ClaimPath{"sub"}, IDToken: uma.ClaimPath{"sub"}},
		Client:  uma.ClaimPath{"azp"}, Username: uma.ClaimPath{"preferred_username"},
	}
}

// claimsMap reads `map`; into has the defaults.
func (v value) claimsMap(into *uma.ClaimsMap) {
	v.object(fields{
		"subject":    set(&into.Subject, value.subjectPaths),
		"client":     set(&into.Client, value.claimPath),
		"username":   set(&into.Username, value.claimPath),
		"email":      set(&into.Email, value.claimPath),
		"groups":     set(&into.Groups, value.groupsMap),
		"roles":      set(&into.Roles, value.claimPath),
		"acr":        set(&into.ACR, value.claimPath),
		"attributes": set(&into.Attributes, value.attributePaths),
	})
}

// claimPath reads the path of a claim: dotted text, or a list of exact names.
func (v value) claimPath() uma.ClaimPath {
	var path uma.ClaimPath
	if v.node.Kind == yaml.SequenceNode {
		v.list(func(v value) { path = append(path, v.text()) })
	} else if s := v.text(); s != "" {
		if strings.Contains(s, "://") {
			v.wrong("is one name with dots in it: write it as a list, [%s]", s)
			return nil
		}
		path = strings.Split(s, ".")
	}
	switch {
	case len(path) == 0 && v.node.Kind == yaml.SequenceNode:
		v.wrong("is empty: want the name of a member of the token, or the names on the way to it")
	case len(path) > maxPath:
		v.wrong("has more than %d names", maxPath)
	case v.node.Kind != yaml.SequenceNode && slices.Contains(path, ""):
		v.wrong("has an empty name between dots: write names with dots in them as a list")
	default:
		return path
	}
	return nil
}

// subjectPaths reads where the subject is: one path, or one for each kind of token.
func (v value) subjectPaths() uma.SubjectPath {
	if v.node.Kind != yaml.MappingNode {
		path := v.subjectPath()
		return uma.SubjectPath{AccessToken: path, IDToken: path}
	}
	var s uma.SubjectPath
	m := v.object(fields{
		"access_token": set(&s.AccessToken, value.subjectPath),
		"id_token":     set(&s.IDToken, value.subjectPath),
	})
	m.need("access_token", "id_token")
	return s
}

// Claims that are no subject: those that a person can change, or that pass to another person;
// and those that all parties have in common, or that every token has anew.
var (
	changingClaims = []string{
		"email", "upn", "preferred_username", "name", "unique_name", "nickname", "username", "given_name", "family_name",
		"middle_name", "phone_number",
	}
	commonClaims = []string{
		"iss", "aud", "azp", "appid", "client_id", "cid", "tid", "jti", "sid", "nonce", "exp", "iat", "nbf", "auth_time",
		"acr", "amr", "scope", "scp", "typ", "ver",
	}
)

func (v value) subjectPath() uma.ClaimPath {
	path := v.claimPath()
	if len(path) == 0 {
		return nil
	}
	last := strings.ToLower(path[len(path)-1])
	switch {
	case slices.Contains(changingClaims, last):
		v.wrong("%s is no subject: it can change, or come to belong to somebody else; name an id that never does, such as sub", last)
	case slices.Contains(commonClaims, last):
		v.wrong("%s is no subject: it does not say who the party is", last)
	default:
		return path
	}
	return nil
}

// groupsMap reads which groups of the issuer a party has.
func (v value) groupsMap() uma.GroupsMap {
	var g uma.GroupsMap
	m := v.object(fields{
		"from":     set(&g.From, value.claimPath),
		"prefix":   set(&g.Prefix, group),
		"only":     set(&g.Only, some(value.groupName)),
		"optional": set(&g.Optional, value.flag),
	})
	m.need("from")
	if m.byKey != nil && !m.has("prefix") && !m.has("only") {
		m.at("prefix").wrong("is missing: give prefix or only, without both the issuer could put its parties into every group of the realm")
	}
	return g
}

// groupName reads the name of a group as the issuer writes it.
func (v value) groupName() string {
	return matching(func(s string) bool { return uma.IsGroup("/" + strings.TrimPrefix(s, "/")) }, "want the name of a group, such as staff or /staff")(v)
}

// attributePaths reads where attributes are.
func (v value) attributePaths() map[string]uma.ClaimPath {
	paths := make(map[string]uma.ClaimPath)
	v.entries(func(name string, v value) {
		switch {
		case isRegistered(name):
			v.wrong("is a claim that the server sets itself")
		case strings.EqualFold(name, "email") || strings.EqualFold(name, "email_verified"):
			v.wrong("e-mail addresses are mapped by map.email, which looks whether they are verified")
		default:
			paths[name] = v.claimPath()
		}
	})
	return paths
}
