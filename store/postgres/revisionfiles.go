package postgres

import (
	"context"
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// The files of revisions are stored once for each realm, by their hash: most revisions differ in a
// file or two. A revision names its files. Who changes them holds the lock of the realm's policy: see
// lockPolicies.

// saveRevision stores a revision with its files. Of one that is stored already, it replaces the files
// that are not part of the hash, and the versions.
func saveRevision(tx *conn, r *uma.Revision, files []rows.File) error {
	var key uma.Key
	var added bool
	err := tx.row(`INSERT INTO revision (realm, hash, since, opa, umpire) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (realm, hash) DO UPDATE SET opa = excluded.opa, umpire = excluded.umpire RETURNING key, xmax = 0`,
		[]any{r.Realm, r.Hash, millis(r.Since), r.OPA, r.Umpire}, &key, &added)
	if err != nil {
		return writing("policy revision", err)
	}
	var commands []command
	if !added {
		commands = append(commands, command{query: `WITH gone AS (DELETE FROM revision_file WHERE revision = $1 AND beside RETURNING file)
			DELETE FROM policy_file f WHERE f.key IN (SELECT file FROM gone)
			AND NOT EXISTS (SELECT 1 FROM revision_file o WHERE o.file = f.key AND NOT (o.revision = $1 AND o.beside))`, args: []any{key}})
	}
	var contents, names columns
	for _, f := range files {
		if added || f.Beside {
			contents.add(f.Hash, f.Encoding, f.Content)
			names.add(f.Path, f.Beside, f.Hash)
		}
	}
	if names.count > 0 {
		commands = append(commands,
			command{query: `INSERT INTO policy_file (hash, encoding, content, realm)
				SELECT *, $4 FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) ON CONFLICT (realm, hash) DO NOTHING`,
				args: append(contents.args(), r.Realm)},
			command{query: `INSERT INTO revision_file (path, beside, file, revision)
				SELECT x.path, x.beside, f.key, $5 FROM unnest($1::text[], $2::boolean[], $3::bytea[]) x (path, beside, hash)
				JOIN policy_file f ON f.realm = $4 AND f.hash = x.hash`,
				args: append(names.args(), r.Realm, key)})
	}
	_, err = tx.all(commands...)
	return writing("policy files", err)
}

// deleteRevisions deletes revisions, with the files that no other revision names.
func deleteRevisions(tx *conn, keys []uma.Key) error {
	_, err := tx.all(
		command{query: `WITH gone AS (DELETE FROM revision_file WHERE revision = ANY($1) RETURNING file)
			DELETE FROM policy_file f WHERE f.key IN (SELECT file FROM gone)
			AND NOT EXISTS (SELECT 1 FROM revision_file o WHERE o.file = f.key AND o.revision <> ALL($1))`, args: []any{keys}},
		command{query: `DELETE FROM revision WHERE key = ANY($1)`, args: []any{keys}})
	return writing("policy revisions", err)
}

// A storedRevision is a revision whose files are compressed.
type storedRevision struct {
	uma.Revision
	key   uma.Key
	files []rows.File
}

// revisionBy returns a revision. Its files are uncompressed after the read transaction.
func (s *Store) revisionBy(ctx context.Context, what string, read func(c *conn, r *storedRevision) error) (*uma.Revision, error) {
	r, err := fetch(ctx, s, what, func(c *conn) (r *storedRevision, err error) {
		r = &storedRevision{}
		if err := read(c, r); err != nil {
			return nil, err
		}
		r.files, err = list(c, `SELECT n.path, n.beside, f.encoding, f.content FROM revision_file n JOIN policy_file f ON f.key = n.file
			WHERE n.revision = $1`, []any{r.key}, scanRevisionFile)
		return r, err
	})
	if err != nil {
		return nil, err
	}
	if err := rows.Unpack(&r.Revision, r.files); err != nil {
		return nil, fmt.Errorf("read policy revision %s: %w", r.Hash, err)
	}
	return &r.Revision, nil
}

func scanRevisionFile(scan scanFunc) (f rows.File, err error) {
	err = scan(&f.Path, &f.Beside, &f.Encoding, &f.Content)
	return f, err
}
