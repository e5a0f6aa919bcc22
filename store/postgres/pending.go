package postgres

import (
	"errors"

	"example.com/umpire/uma"
)

// Stand-ins of what is still to be ported.

func adjustShares(tx *conn, old, next *uma.Resource) error { return nil }

func adjustInvitations(tx *conn, old, next *uma.Resource) error { return nil }

const shareColumns = ` s.key `

func shareRow(c *conn, query string, args ...any) (*uma.Share, error) {
	return nil, errors.New("not ported")
}

func updateShare(tx *conn, old, next *uma.Share) error { return errors.New("not ported") }
