package trust

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// maxName bounds subjects, usernames, e-mail addresses and client ids, in bytes (of a subject:
// OpenID Connect Core §2).
const maxName = 255

// mapToken reads the claims of a token whose signature is valid, as the issuer's map says.
func mapToken(issuer *uma.TrustedIssuer, headerType string, c claims) (t *uma.TrustedToken, err error) {
	t = &uma.TrustedToken{Issuer: issuer}
	if err := c.check(issuer.Require); err != nil {
		return nil, err
	}
	if sub, err := c.text("sub"); err != nil || sub == "" {
		return nil, errors.New("it has no sub")
	}
	if t.Expires, err = c.expires(); err != nil {
		return nil, err
	}
	if t.IssuedAt, err = c.date("iat"); err != nil {
		return nil, err
	}
	if t.AuthTime, err = c.date("auth_time"); err != nil {
		return nil, err
	}
	if t.JWTID, err = c.text("jti"); err != nil {
		return nil, err
	}
	if t.Audience, err = c.audience(); err != nil {
		return nil, err
	}
	if t.ClientID, err = c.client(issuer.Map.Client); err != nil {
		return nil, err
	}
	if t.Kind, err = kindOf(headerType, c, t); err != nil {
		return nil, err
	}
	_, t.KeyBound = c["cnf"]
	if err := mapParty(t, c); err != nil {
		return nil, err
	}
	t.Application = isApplication(c, t)
	return t, nil
}

// mapParty reads who the token is of.
func mapParty(t *uma.TrustedToken, c claims) (err error) {
	m := &t.Issuer.Map
	path := m.Subject.AccessToken
	if t.Kind == uma.IDToken {
		path = m.Subject.IDToken
	}
	if t.Subject, err = c.mappedText("subject", path); err != nil {
		return err
	}
	if t.Subject == "" {
		return errors.New("it has no subject where map.subject says")
	}
	if t.Username, err = c.mappedText("username", m.Username); err != nil {
		return err
	}
	if t.ACR, err = c.mappedText("acr", m.ACR); err != nil {
		return err
	}
	if t.Email, t.EmailVerified, err = c.email(t.Issuer); err != nil {
		return err
	}
	if t.Groups, t.GroupsKnown, err = c.groups(&m.Groups); err != nil {
		return err
	}
	if t.Roles, err = c.roles(m.Roles); err != nil {
		return err
	}
	t.Attributes = make(map[string]any, len(m.Attributes))
	for name, path := range m.Attributes {
		if value, ok := c.find(path); ok {
			t.Attributes[name] = value
		}
	}
	t.Claims = make(map[string]any, len(t.Issuer.Claims))
	for _, name := range t.Issuer.Claims {
		if value, ok := c.find(uma.ClaimPath{name}); ok {
			t.Claims[name] = value
		}
	}
	return nil
}

// find returns the value at a path. A null is as if it were not there.
func (c claims) find(path uma.ClaimPath) (any, bool) {
	var value any = map[string]any(c)
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value, value != nil && len(path) > 0
}

// mappedText returns the text at a path; empty if there is none, or an empty one.
func (c claims) mappedText(what string, path uma.ClaimPath) (string, error) {
	value, ok := c.find(path)
	if !ok {
		return "", nil
	}
	text, ok := value.(string)
	if !ok || len(text) > maxName || !uma.IsText(text) {
		return "", fmt.Errorf("its %s (map.%s) is not a text of at most %d bytes without control characters", what, what, maxName)
	}
	return text, nil
}

// email returns the e-mail address, with the letters of ASCII in lower case, and whether it is
// proved: by email_verified, which stands beside a claim `email` and is about no other one; or
// since the issuer is the authority on the domain, unless email_verified denies it.
func (c claims) email(issuer *uma.TrustedIssuer) (address string, verified bool, err error) {
	path := issuer.Map.Email
	address, err = c.mappedText("email", path)
	if address == "" || err != nil {
		return "", false, err
	}
	address, domain, ok := uma.EmailAddress(address)
	if !ok {
		return "", false, nil
	}
	verified = slices.Contains(issuer.EmailDomains, domain)
	if last := len(path) - 1; path[last] == "email" {
		beside := c
		if last > 0 {
			object, _ := c.find(path[:last])
			beside, _ = object.(map[string]any)
		}
		if says, ok := beside["email_verified"]; ok {
			verified = says == true
		}
	}
	return address, verified, nil
}

// groups returns the groups of the realm that a party has, and whether all of them are known.
// Names of the issuer may begin with a slash or not; those of the realm do.
func (c claims) groups(m *uma.GroupsMap) (groups []string, known bool, err error) {
	if len(m.From) == 0 {
		return nil, false, nil
	}
	value, ok := c.find(m.From)
	if !ok || c.groupsElsewhere(m.From) {
		if m.Optional {
			return nil, false, nil
		}
		return nil, false, errors.New("its groups are missing or incomplete, and groups.optional is not set in the realm file")
	}
	names, ok := texts(value)
	if !ok {
		return nil, false, errors.New("its groups are not a list of names")
	}
	groups = make([]string, 0, len(names))
	for _, name := range names {
		bare := strings.TrimPrefix(name, "/")
		if m.Only != nil && !slices.ContainsFunc(m.Only, func(only string) bool { return strings.TrimPrefix(only, "/") == bare }) {
			continue
		}
		group := m.Prefix + "/" + bare
		if !uma.IsGroup(group) || !uma.IsText(group) {
			return nil, false, errors.New("the name of a group is not one that groups of a realm can have")
		}
		groups = append(groups, group)
	}
	return distinct(groups), true, nil
}

// groupsElsewhere reports whether the token says that its groups are not all in it (OpenID
// Connect Core §5.6.2; Entra does so above 200 groups, or with hasgroups).
func (c claims) groupsElsewhere(from uma.ClaimPath) bool {
	if says, ok := c["hasgroups"]; ok && says != false {
		return true
	}
	names, ok := c["_claim_names"]
	if !ok {
		return false
	}
	object, ok := names.(map[string]any)
	if !ok {
		return true
	}
	_, first := object[from[0]]
	_, groups := object["groups"]
	return first || groups
}

// roles returns the realm roles. One with a slash would be read as that of a client, and the
// right to the protection API does not come from outside.
func (c claims) roles(path uma.ClaimPath) ([]string, error) {
	value, ok := c.find(path)
	if !ok {
		return nil, nil
	}
	names, ok := texts(value)
	if !ok || slices.ContainsFunc(names, func(name string) bool { return !uma.IsText(name) }) {
		return nil, errors.New("its roles are not a list of names")
	}
	return slices.DeleteFunc(distinct(names), func(role string) bool {
		return strings.Contains(role, "/") || role == "uma_protection"
	}), nil
}

// distinct sorts a list and takes each text once.
func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
