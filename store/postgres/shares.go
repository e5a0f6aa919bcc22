package postgres

import (
	"context"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

const shareColumns = ` s.key, s.id, s.name, s.description, s.server, s.resource, s.resource_id, s.owner, s.scopes,` +
	` s.users, s.roles, s.groups, s.clients, s.strategy, s.version, s.audience `

func scanShare(scan scanFunc) (*uma.Share, error) {
	s := &uma.Share{}
	return s, scan(shareFields(s)...)
}

// shareFields are where shareColumns are read into.
func shareFields(s *uma.Share) []any {
	s.Kind = uma.ByPolicy
	return []any{(*int64)(&s.Key), &s.ID, &s.Name, &s.Description, (*int64)(&s.Server), (*int64)(&s.Resource),
		(*string)(&s.ResourceID), &s.Owner, (*scopes)(&s.Scopes), (*names)(&s.Users), (*names)(&s.Roles),
		(*names)(&s.Groups), (*names)(&s.Clients), &s.Strategy, &s.Version, &s.Audience}
}

// Share implements uma.Shares.
func (v *view) Share(ctx context.Context, server uma.Key, id string) (*uma.Share, error) {
	s, err := oneRow(v.conn(ctx), `SELECT`+shareColumns+`FROM share s WHERE s.server = $1 AND s.id = $2`, []any{server, id}, scanShare)
	return s, reading("share", err)
}

// FindShares implements uma.Shares. An index has the policies of an owner, or those for one
// resource, in the order of names; other filters are compared with each. If an owner has many, a
// part of a name is looked up in an index of trigrams.
func (v *view) FindShares(ctx context.Context, server uma.Key, owner string, f uma.UserPolicyFilter, first, max int) ([]*uma.Share, error) {
	c, p := v.conn(ctx), pageSpec{first, max}
	var args arguments
	from, index := `s.server = `+args.add(server), byShareName
	if f.Resource != "" {
		index = ``
		from = `s.resource = (SELECT key FROM resource WHERE server = $1 AND id = ` + args.add(f.Resource) + `)`
	}
	query := `SELECT` + shareColumns + `FROM share s WHERE ` + from + index + ` AND s.owner = ` + args.add(owner) + ` AND s.name > ` +
		args.add(f.After) + ` ORDER BY s.name LIMIT `
	if f.Name == "" && f.Scope == "" {
		found, err := list(c, query+args.add(p.limit())+` OFFSET `+args.add(p.first), args.args, scanShare)
		return found, reading("shares", err)
	}
	s := search[*uma.Share]{list: func(limit int) (string, []any) {
		args := arguments{slices.Clip(args.args)}
		return query + args.add(limit), args.args
	}, scan: scanShare, keep: rows.MatchesPolicy(f)}
	if part := rows.Fold(f.Name); hasTrigram(part) && f.Resource == "" {
		s.indexed = func() ([]*uma.Share, bool, error) { return sharesNamed(c, server, owner, f) }
	}
	found, err := s.page(c, p)
	return found, reading("shares", err)
}

// sharesNamed returns the policies of an owner that match a filter with a part of a name, by name,
// unless very many policies at the resource server have the part: see placesNamed.
func sharesNamed(c *conn, server uma.Key, owner string, f uma.UserPolicyFilter) (found []*uma.Share, few bool, err error) {
	var keys []uma.Key
	inTime, err := c.briefly(partPatience, func() (err error) {
		keys, err = list(c, `SELECT s.key FROM share s WHERE s.server + 0 = $1 AND s.name_folded LIKE $2 LIMIT $3`,
			[]any{server, likePart(rows.Fold(f.Name)), maxPartHits + 1}, scanKey)
		return err
	})
	if err != nil || !inTime || len(keys) > maxPartHits {
		return nil, false, err
	}
	found, err = list(c, `SELECT`+shareColumns+`FROM share s WHERE s.key = ANY ($1) AND s.owner = $2 AND s.name > $3`,
		[]any{keys, owner, f.After}, scanShare)
	matches := rows.MatchesPolicy(f)
	found = slices.DeleteFunc(found, func(s *uma.Share) bool { return !matches(s) })
	slices.SortFunc(found, func(a, b *uma.Share) int { return strings.Compare(a.Name, b.Name) })
	return found, true, err
}

// SharesAfter implements uma.Shares. It reads all policies for a resource, of a user or of an owner by an index, or those
// of a resource server in the order of their ids.
func (v *view) SharesAfter(ctx context.Context, server uma.Key, p uma.UserPoliciesOf, after string, max int) ([]*uma.Share, error) {
	args := arguments{[]any{server, after, max}}
	where, order := ``, ``
	switch { // in an order that no other index has, or by a server that none has
	case p.Resource != "":
		where = `s.server + 0 = $1 AND s.resource = (SELECT key FROM resource WHERE server = $1 AND id = ` + args.add(p.Resource) + `)`
	case p.User != "":
		where = `s.server + 0 = $1 AND s.key = ANY (ARRAY (SELECT x.share FROM share_party x WHERE x.party = ` +
			args.add(rows.UserPrefix+p.User) + ` AND x.party LIKE '` + rows.UserPrefix + `%'))`
	case p.Owner != "":
		owner := args.add(p.Owner)
		where, order = `s.server = $1 AND s.owner BETWEEN `+owner+` AND `+owner+byShareName, ` ORDER BY s.owner, s.name`
	default:
		where = `s.server = $1 AND s.id > $2 ORDER BY s.id LIMIT $3`
	}
	if p.Owner != "" {
		where += ` AND s.owner = ` + args.add(p.Owner)
	}
	if p.User != "" {
		where += ` AND ` + args.add(p.User) + ` = ANY (s.users)`
	}
	found, err := list(v.conn(ctx), `SELECT`+shareColumns+`FROM (SELECT * FROM share s WHERE `+where+order+` OFFSET 0) s
		WHERE s.id > $2 ORDER BY s.id LIMIT $3`, args.args, scanShare)
	return found, reading("shares", err)
}
