package sqlite

import (
	"strconv"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
	"example.com/umpire/uma/uripath"
)

// isOwn reports whether the owner of a resource is the resource server itself.
func isOwn(tx *conn, r *uma.Resource) (bool, error) {
	own, err := tx.exists(`SELECT 1 FROM client WHERE key = ? AND uuid = ?`, int64(r.Server), r.Owner)
	return own, reading("resource server", err)
}

// A command is a statement and its arguments.
type command struct {
	query string
	args  []any
}

func runAll(tx *conn, commands []command) error {
	for _, cmd := range commands {
		if _, err := tx.exec(cmd.query, cmd.args...); err != nil {
			return writing("dependent rows", err)
		}
	}
	return nil
}

// addParts adds a new resource to resource_part. It is called after the other writes,
// in the order of keys: FTS5 gathers insertions, and writes them when anything else
// comes between.
func addParts(tx *conn, r *uma.Resource) error {
	_, err := tx.exec(`INSERT INTO resource_part (rowid, server, name, type) VALUES (?, ?, ?, ?)`,
		int64(r.Key), serverWord(r.Server), rows.Fold(r.Name), rows.Fold(r.Type))
	return writing("parts of names", err)
}

// setParts is addParts for a resource that exists.
func setParts(tx *conn, r *uma.Resource) error {
	if err := removeParts(tx, r.Key); err != nil {
		return err
	}
	return addParts(tx, r)
}

func removeParts(tx *conn, key uma.Key) error {
	_, err := tx.exec(`DELETE FROM resource_part WHERE rowid = ?`, int64(key))
	return writing("parts of names", err)
}

// addIndex adds the rows of a resource in the tables that find resources:
// resource_scope, resource_uri, uri_pattern, uri_shape and type_scope.
func addIndex(tx *conn, r *uma.Resource, own bool, c rows.Claims) error {
	server := int64(r.Server)
	registered := func(claimed bool) int {
		switch {
		case own:
			return int(uma.OwnOfServer)
		case claimed:
			return int(uma.ByOwner)
		}
		return int(uma.ForOwner)
	}
	var commands []command
	for _, scope := range r.Scopes {
		commands = append(commands, command{`INSERT INTO resource_scope (server, scope, name, id, resource, registered)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			[]any{server, string(scope), r.Name, string(r.ID), int64(r.Key), registered(c.Scopes[string(scope)])}})
		if own && r.Type != "" {
			commands = append(commands, command{`INSERT INTO type_scope (server, type, scope, uses) VALUES (?, ?, ?, 1)
				ON CONFLICT DO UPDATE SET uses = uses + 1`, []any{server, r.Type, string(scope)}})
		}
	}
	for _, uri := range r.URIs {
		folded := uripath.Fold(uri)
		commands = append(commands, command{`INSERT INTO resource_uri (server, uri, name, id, resource, registered)
			VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			[]any{server, folded, r.Name, string(r.ID), int64(r.Key), registered(c.URIs[folded])}})
		if !own {
			continue
		}
		key, shape := uripath.Key(uri)
		commands = append(commands, command{`INSERT INTO uri_pattern (server, key, uri, id)
			VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`, []any{server, key, uri, string(r.ID)}})
		if shape != "" {
			commands = append(commands, command{`INSERT INTO uri_shape (server, shape, uses) VALUES (?, ?, 1)
				ON CONFLICT DO UPDATE SET uses = uses + 1`, []any{server, shape}})
		}
	}
	return runAll(tx, commands)
}

// removeIndex undoes what addIndex did for the same state of the resource.
func removeIndex(tx *conn, r *uma.Resource, own bool) error {
	server := int64(r.Server)
	var commands []command
	for _, scope := range r.Scopes {
		commands = append(commands, command{`DELETE FROM resource_scope WHERE server = ? AND scope = ? AND name = ? AND id = ?`,
			[]any{server, string(scope), r.Name, string(r.ID)}})
		if own && r.Type != "" {
			args := []any{server, r.Type, string(scope)}
			commands = append(commands,
				command{`UPDATE type_scope SET uses = uses - 1 WHERE server = ? AND type = ? AND scope = ?`, args},
				command{`DELETE FROM type_scope WHERE server = ? AND type = ? AND scope = ? AND uses = 0`, args})
		}
	}
	for _, uri := range r.URIs {
		commands = append(commands, command{`DELETE FROM resource_uri WHERE server = ? AND uri = ? AND name = ? AND id = ?`,
			[]any{server, uripath.Fold(uri), r.Name, string(r.ID)}})
		if !own {
			continue
		}
		key, shape := uripath.Key(uri)
		commands = append(commands, command{`DELETE FROM uri_pattern WHERE server = ? AND key = ? AND uri = ? AND id = ?`,
			[]any{server, key, uri, string(r.ID)}})
		if shape != "" {
			args := []any{server, shape}
			commands = append(commands,
				command{`UPDATE uri_shape SET uses = uses - 1 WHERE server = ? AND shape = ?`, args},
				command{`DELETE FROM uri_shape WHERE server = ? AND shape = ? AND uses = 0`, args})
		}
	}
	return runAll(tx, commands)
}

// serverWord is the text for a resource server in resource_part. It has at least three
// characters, as trigrams need, and is no part of that of another.
func serverWord(server uma.Key) string { return "#" + strconv.FormatInt(int64(server), 36) + "#" }
