package sqlite

import (
	"strings"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/store/memory"
)

// noteChanges makes a connection know of each statement which kinds of rows it changes:
// statement.changes. SQLite tells an authorizer, when it prepares a statement, the tables that
// the statement writes to, its triggers and cascades included. The authorizer stays: setting one
// makes SQLite prepare every statement anew.
func (c *conn) noteChanges() error {
	return c.db.SetAuthorizer(sqlite.AuthorizeFunc(func(a sqlite.Action) sqlite.AuthResult {
		switch a.Type() {
		case sqlite.OpInsert, sqlite.OpUpdate, sqlite.OpDelete:
			of, _ := kindsOf(a.Table(), a.Type() == sqlite.OpInsert)
			c.noted |= of
		}
		return sqlite.AuthResultOK
	}))
}

// kindsOf returns the kinds of rows that are made of the rows of a table. known is false for a
// table that is not listed here, which is taken for one of every kind.
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
	case "user":
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
		return memory.ResourceRows, true
	case "request", "share", "share_party", "dropped":
		return memory.ShareRows, true
	case "admin_token", "admin_use", "client", "counter", "decision", "decision_chunk", "decision_log", "decision_rare", "decision_rule",
		"decision_shared", "decision_common", "goose_db_version", "invitation", "lease", "policy_file", "policy_period", "policy_proposal", "refresh_token", "resource_scope", "resource_uri",
		"revision", "revision_file", "rpt", "scope", "sealed", "shadow", "shadow_change", "signing_key", "sink", "spent_assertion",
		"spent_ticket", "ticket", "type_scope", "uri_pattern", "uri_shape", "withdrawn_revision":
		return 0, true
	}
	for _, prefix := range []string{"resource_part", "share_part", "sqlite_"} { // with the tables of FTS5
		if strings.HasPrefix(table, prefix) {
			return 0, true
		}
	}
	return memory.AllKinds, false
}
