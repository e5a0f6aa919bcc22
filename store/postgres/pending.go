package postgres

import (
	"example.com/umpire/uma"
)

// Stand-ins of what is still to be ported.

// Until they are ported: what a realm file no longer has.

type leftovers struct{}

func (a *applier) findLeftovers(c *conn) error { return nil }

func adjustShares(tx *conn, old, next *uma.Resource) error { return nil }

func adjustInvitations(tx *conn, old, next *uma.Resource) error { return nil }

func removeResource(tx *conn, r *uma.Resource) error {
	own, err := isOwn(tx, r)
	if err != nil {
		return err
	}
	_, err = tx.all(append(removeDerived(r, own), command{query: `DELETE FROM resource WHERE key = $1`, args: []any{r.Key}})...)
	return err
}
