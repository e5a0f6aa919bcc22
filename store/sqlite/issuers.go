package sqlite

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// applyIssuers stores the issuers of the change that are new: see rows.NewIssuers.
func (a *applier) applyIssuers(tx *conn) error {
	known, err := list(tx, `SELECT key, alias, url FROM issuer WHERE realm = ?`, []any{int64(a.realm)}, scanIssuer)
	if err != nil {
		return reading("issuers", err)
	}
	added, err := rows.NewIssuers(known, a.RealmChange)
	if err != nil {
		return err
	}
	for _, i := range added {
		a.Changed = true
		if _, err := tx.exec(`INSERT INTO issuer (realm, alias, url) VALUES (?, ?, ?)`, int64(a.realm), i.Alias, i.URL); err != nil {
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
		var n int64
		err := c.row(`SELECT count(*) FROM (SELECT 1 FROM issuer i CROSS JOIN identity y ON y.issuer = i.key
			WHERE i.realm = ? AND i.url = ?`+countLimit+`)`, []any{int64(a.realm), url}, &n)
		if err != nil {
			return reading("parties of an issuer", err)
		}
		if n > 0 {
			a.Report.Distrusted = append(a.Report.Distrusted, uma.Distrusted{Alias: now[i].Alias, Issuer: url, Parties: int(n)})
		}
	}
	slices.SortFunc(a.Report.Distrusted, func(x, y uma.Distrusted) int { return cmp.Compare(x.Alias, y.Alias) })
	return nil
}

// RenameIssuer implements uma.Parties.
func (s *Store) RenameIssuer(ctx context.Context, realm uma.Key, alias, url string) error {
	return s.write(ctx, func(tx *conn) error {
		var had string
		err := tx.row(`SELECT url FROM issuer WHERE realm = ? AND alias = ?`, []any{int64(realm), alias}, &had)
		if err != nil || had == url {
			return reading("issuer", err)
		}
		_, err = issuerRow(tx, realm, url)
		switch {
		case err == nil:
			return writing("issuer", uma.ErrConflict)
		case !errors.Is(err, uma.ErrNotFound):
			return err
		}
		_, err = tx.exec(`UPDATE issuer SET url = ? WHERE realm = ? AND alias = ?`, url, int64(realm), alias)
		if err != nil {
			return writing("issuer", err)
		}
		return distrust(tx, realm, alias)
	})
}

// distrust takes an issuer out of the settings of a realm, until a realm file is applied.
func distrust(tx *conn, realm uma.Key, alias string) error {
	var text string
	if err := tx.row(`SELECT settings FROM realm WHERE key = ?`, []any{int64(realm)}, &text); err != nil {
		return reading("realm", err)
	}
	left, err := rows.WithoutIssuer(text, alias)
	if err != nil {
		return reading("settings of the realm", err)
	}
	_, err = tx.exec(`UPDATE realm SET settings = ?, fingerprint = NULL WHERE key = ?`, left, int64(realm))
	if err != nil {
		return writing("realm", err)
	}
	return raiseGeneration(tx, realm)
}
