package postgres

import (
	"cmp"
	"context"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// issuerRow returns an issuer that a realm trusts or has trusted.
func issuerRow(c *conn, realm uma.Key, url string) (*rows.Issuer, error) {
	i := &rows.Issuer{URL: url}
	err := c.row(`SELECT key, alias FROM issuer WHERE realm = $1 AND url = $2`, []any{realm, url}, &i.Key, &i.Alias)
	return i, reading("issuer", err)
}

func scanIssuer(scan scanFunc) (i rows.Issuer, err error) {
	err = scan(&i.Key, &i.Alias, &i.URL)
	return i, err
}

// applyIssuers stores the issuers of the change that are new: see rows.NewIssuers. The realm is locked.
func (a *applier) applyIssuers(tx *conn) error {
	known, err := list(tx, `SELECT key, alias, url FROM issuer WHERE realm = $1`, []any{a.realm}, scanIssuer)
	if err != nil {
		return reading("issuers", err)
	}
	added, err := rows.NewIssuers(known, a.RealmChange)
	if err != nil {
		return err
	}
	for _, i := range added {
		a.Changed = true
		if _, err := tx.exec(`INSERT INTO issuer (realm, alias, url) VALUES ($1, $2, $3)`, a.realm, i.Alias, i.URL); err != nil {
			return writing("issuer", err)
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
			a.Report.Distrusted = append(a.Report.Distrusted, uma.Distrusted{Alias: now[i].Alias, Issuer: url, Parties: n})
		}
	}
	slices.SortFunc(a.Report.Distrusted, func(x, y uma.Distrusted) int { return cmp.Compare(x.Alias, y.Alias) })
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
