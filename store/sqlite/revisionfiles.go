package sqlite

import (
	"context"
	"fmt"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// saveRevision stores a revision with its files. Of one that is stored already, it replaces
// the files that are not part of the hash, and the versions.
func saveRevision(tx *conn, r *uma.Revision, files []rows.File) error {
	var key int64
	stored, err := list(tx, `SELECT key FROM revision WHERE realm = ? AND hash = ?`, []any{r.Realm, r.Hash}, scanKey)
	if err != nil {
		return reading("policy revision", err)
	}
	if len(stored) > 0 {
		key = int64(stored[0])
		if err := dropRevisionFiles(tx, `SELECT file FROM revision_file WHERE revision = ? AND beside`,
			`DELETE FROM revision_file WHERE revision = ? AND beside`, key); err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE revision SET opa = ?, umpire = ? WHERE key = ?`, r.OPA, r.Umpire, key); err != nil {
			return writing("policy revision", err)
		}
	} else {
		added, err := tx.insert(`INSERT INTO revision (realm, hash, since, opa, umpire) VALUES (?, ?, ?, ?, ?)`,
			r.Realm, r.Hash, rows.Millis(r.Since), r.OPA, r.Umpire)
		if err != nil {
			return writing("policy revision", err)
		}
		key = int64(added)
	}
	for i := range files {
		f := &files[i]
		if len(stored) > 0 && !f.Beside {
			continue
		}
		err := runAll(tx, []command{
			{`INSERT INTO policy_file (realm, hash, encoding, content) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
				[]any{r.Realm, f.Hash, f.Encoding, f.Content}},
			{`INSERT INTO revision_file (revision, path, beside, file) SELECT ?, ?, ?, key FROM policy_file WHERE realm = ? AND hash = ?`,
				[]any{key, f.Path, f.Beside, r.Realm, f.Hash}},
		})
		if err != nil {
			return writing("policy file", err)
		}
	}
	return nil
}

// dropRevisionFiles removes files from a revision, and from the database if no other revision
// names them.
func dropRevisionFiles(tx *conn, find, remove string, revision int64) error {
	files, err := list(tx, find, []any{revision}, scanKey)
	if err != nil {
		return reading("policy files", err)
	}
	return writing("policy files", runAll(tx, []command{
		{remove, []any{revision}},
		{`DELETE FROM policy_file WHERE key IN (SELECT value FROM json_each(?))
			AND NOT EXISTS (SELECT 1 FROM revision_file o WHERE o.file = policy_file.key)`, []any{rows.KeysText(files)}},
	}))
}

// deleteRevision deletes a revision with its files.
func deleteRevision(tx *conn, key int64) error {
	err := dropRevisionFiles(tx, `SELECT file FROM revision_file WHERE revision = ?`, `DELETE FROM revision_file WHERE revision = ?`, key)
	if err != nil {
		return err
	}
	_, err = tx.exec(`DELETE FROM revision WHERE key = ?`, key)
	return writing("policy revision", err)
}

// A storedRevision is a revision whose files are compressed.
type storedRevision struct {
	uma.Revision
	key   int64
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
			WHERE n.revision = ?`, []any{r.key}, scanRevisionFile)
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
