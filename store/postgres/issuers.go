package postgres

import (
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// An issuer is a row of an issuer.
type issuer struct {
	key        uma.Key
	alias, url string
}

func scanIssuer(scan scanFunc) (*issuer, error) {
	i := &issuer{}
	return i, scan(&i.key, &i.alias, &i.url)
}

// applyIssuers stores the issuers of the change that are new. It returns a *uma.AliasError for
// an alias or an issuer that is the other's no longer, and a *uma.UsernameError for a local
// user who would be taken for a party, also of an issuer that is no longer trusted.
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
