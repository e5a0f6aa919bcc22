package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// An issuer is a row of issuer.
type issuer struct {
	key        uma.Key
	alias, url string
}

// issuerRow returns an issuer that a realm trusts or has trusted.
func issuerRow(c *conn, realm uma.Key, url string) (*issuer, error) {
	i := &issuer{url: url}
	err := c.row(`SELECT key, alias FROM issuer WHERE realm = $1 AND url = $2`, []any{realm, url}, &i.key, &i.alias)
	return i, reading("issuer", err)
}

func scanIssuer(scan scanFunc) (*issuer, error) {
	i := &issuer{}
	return i, scan(&i.key, &i.alias, &i.url)
}

// applyIssuers stores the issuers of the change that are new. It returns a *uma.AliasError for
// an alias or an issuer that is the other's no longer, and a *uma.UsernameError for a local
// user who would be taken for a party, also of an issuer that is no longer trusted. The realm is
// locked.
func (a *applier) applyIssuers(tx *conn) error {
	known, err := list(tx, `SELECT key, alias, url FROM issuer WHERE realm = $1`, []any{a.realm}, scanIssuer)
	if err != nil {
		return reading("issuers", err)
	}
	for i := range a.Realm.Issuers {
		next := &a.Realm.Issuers[i]
		same := slices.IndexFunc(known, func(k *issuer) bool { return k.alias == next.Alias || k.url == next.Issuer })
		if same < 0 {
			row := &issuer{alias: next.Alias, url: next.Issuer}
			a.changed = true
			row.key, err = tx.insert(`INSERT INTO issuer (realm, alias, url) VALUES ($1, $2, $3) RETURNING key`, a.realm, row.alias, row.url)
			if err != nil {
				return writing("issuer", err)
			}
			known = append(known, row)
			continue
		}
		if k := known[same]; k.alias != next.Alias || k.url != next.Issuer {
			return &uma.AliasError{Alias: next.Alias, Issuer: next.Issuer, HasAlias: k.alias, HasIssuer: k.url}
		}
	}
	for _, u := range a.Users {
		for _, k := range known {
			if strings.HasPrefix(rows.Fold(u.Username), rows.Fold(k.alias)+"/") {
				return &uma.UsernameError{Username: u.Username, Alias: k.alias}
			}
		}
	}
	return nil
}

// findDistrusted reports the issuers that the realm trusts and the change does not, if they
// have parties.
func (a *applier) findDistrusted(c *conn, now []uma.TrustedIssuer) error {
	for i := range now {
		url := now[i].Issuer
		if slices.ContainsFunc(a.Realm.Issuers, func(t uma.TrustedIssuer) bool { return t.Issuer == url }) {
			continue
		}
		var n int
		err := c.row(`SELECT count(*) FROM (SELECT 1 FROM issuer i JOIN identity y ON y.issuer = i.key
			WHERE i.realm = $1 AND i.url = $2`+countLimit+`) d`, []any{a.realm, url}, &n)
		if err != nil {
			return reading("parties of an issuer", err)
		}
		if n > 0 {
			a.report.Distrusted = append(a.report.Distrusted, uma.Distrusted{Alias: now[i].Alias, Issuer: url, Parties: n})
		}
	}
	slices.SortFunc(a.report.Distrusted, func(x, y uma.Distrusted) int { return cmp.Compare(x.Alias, y.Alias) })
	return nil
}

// RenameIssuer implements uma.Parties. It takes the issuer out of the settings of the realm, until a
// realm file is applied.
func (s *Store) RenameIssuer(ctx context.Context, realm uma.Key, alias, url string) error {
	return s.write(ctx, func(tx *conn) error {
		var settings, had string
		err := tx.row(`SELECT r.settings, i.url FROM realm r JOIN issuer i ON i.realm = r.key
			WHERE r.key = $1 AND i.alias = $2 FOR NO KEY UPDATE`, []any{realm, alias}, &settings, &had)
		if err != nil || had == url {
			return reading("issuer", err)
		}
		left, err := rows.WithoutIssuer(settings, alias)
		if err != nil {
			return reading("settings of the realm", err)
		}
		_, err = tx.all(
			command{query: `UPDATE issuer SET url = $1 WHERE realm = $2 AND alias = $3`, args: []any{url, realm, alias}},
			command{query: `UPDATE realm SET settings = $1, fingerprint = NULL WHERE key = $2`, args: []any{left, realm}})
		if err != nil {
			return writing("issuer", conflict(err))
		}
		return raiseGeneration(tx, realm)
	})
}
