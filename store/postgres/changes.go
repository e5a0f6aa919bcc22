package postgres

import (
	"regexp"
	"strings"
	"sync"

	"example.com/umpire/store/memory"
)

// written finds the tables that a statement writes to, also within a WITH. What follows FOR UPDATE
// and DO UPDATE is no table.
var written = regexp.MustCompile(`(?i)(\bfor\s+|\bkey\s+|\bdo\s+)?\b(insert\s+into|update|delete\s+from)\s+(\w+)`)

// An effect is what statements may change.
type effect struct {
	kinds  memory.Kinds // of the rows in memory
	rested bool         // rows that grants rest on: see countRested
}

func (e *effect) add(more effect) {
	e.kinds |= more.kinds
	e.rested = e.rested || more.rested
}

// changes knows the effect of each statement of this package.
type changes struct{ known sync.Map } // effect by query

func (c *changes) of(query string) effect {
	if known, ok := c.known.Load(query); ok {
		return known.(effect)
	}
	var all effect
	for _, found := range written.FindAllStringSubmatch(strings.ToLower(query), -1) {
		if found[1] != "" {
			continue
		}
		insert := strings.HasPrefix(found[2], "insert") && !strings.Contains(strings.ToLower(query), "do update")
		of, _ := kindsOf(found[3], insert)
		all.add(effect{of, isRested(found[3], insert)})
	}
	c.known.Store(query, all)
	return all
}

// isRested reports whether a table has rows that grants rest on, and changes them: see kinds. No grant rests on a row
// that is added, but on that its resource is not being dropped.
func isRested(table string, insert bool) bool {
	switch table {
	case "realm", "users", "resource", "request", "share":
		return !insert
	case "dropped":
		return insert
	}
	_, known := kindsOf(table, insert)
	return !known
}

// kindsOf returns the kinds of rows that are made of the rows of a table, those of tables included
// whose rows are deleted with them. known is false for a table that is not listed here, which is
// taken for one of every kind.
//
// Only rows that were found are kept. So an insertion changes none of the kinds of which a row is
// found by a key that no other row can get.
func kindsOf(table string, insert bool) (of memory.Kinds, known bool) {
	switch table {
	case "realm":
		return memory.RealmRows, true
	case "session":
		if insert {
			return 0, true
		}
		return memory.SessionRows, true
	case "revocation":
		return memory.SessionRows, true
	case "users":
		if insert {
			return 0, true
		}
		return memory.UserRows, true
	case "identity", "issuer":
		return memory.UserRows, true
	case "resource":
		if insert {
			return 0, true
		}
		return memory.ResourceRows | memory.ShareRows, true
	case "request", "share", "share_party", "dropped":
		return memory.ShareRows, true
	case "admin_token", "admin_use", "client", "counter", "decision", "decision_span", "goose_db_version", "invitation", "policy_file", "policy_period",
		"policy_proposal", "refresh_token", "resource_scope", "resource_uri", "revision", "revision_file", "rpt", "scope", "sealed",
		"shadow", "shadow_change", "signing_key", "sink", "spent_assertion", "spent_ticket", "ticket", "type_scope", "uri_pattern",
		"lease", "uri_shape", "withdrawn_revision", "writer":
		return 0, true
	}
	return memory.AllKinds, false
}
