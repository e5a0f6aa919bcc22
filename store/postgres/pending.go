package postgres

import (
	"example.com/umpire/uma"
)

// Stand-ins of what is still to be ported.

type recentRecords struct{}

func (recentRecords) Add([]uma.Record) {}

// Until they are ported: what a realm file no longer has.

type leftovers struct{}

func (a *applier) findLeftovers(c *conn) error { return nil }
