package sqlite

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"

	"example.com/umpire/uma"
)

// The files of revisions are stored once for each realm, by their hash: most revisions differ
// in a file or two. A revision names its files.

// The encodings of a policy file.
const (
	plainFile = 0
	gzipFile  = 1
)

// A revisionFile is a file of a revision as it is stored.
type revisionFile struct {
	path     string
	beside   bool
	hash     []byte
	encoding int64
	content  []byte
}

// packFiles compresses the files of a revision.
func packFiles(r *uma.Revision) ([]revisionFile, error) {
	var packed []revisionFile
	for _, part := range []struct {
		files  map[string]string
		beside bool
	}{{r.Sources, false}, {r.Beside, true}} {
		for _, path := range slices.Sorted(maps.Keys(part.files)) {
			f, err := packFile(part.files[path])
			if err != nil {
				return nil, fmt.Errorf("compress %s: %w", path, err)
			}
			f.path, f.beside = path, part.beside
			packed = append(packed, f)
		}
	}
	return packed, nil
}

func packFile(text string) (revisionFile, error) {
	hash := sha256.Sum256([]byte(text))
	f := revisionFile{hash: hash[:], encoding: plainFile, content: []byte(text)}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		return f, err
	}
	if err := w.Close(); err != nil {
		return f, err
	}
	if b.Len() < len(text) {
		f.encoding, f.content = gzipFile, b.Bytes()
	}
	return f, nil
}

func (f *revisionFile) text() (string, error) {
	if f.encoding == plainFile {
		return string(f.content), nil
	}
	r, err := gzip.NewReader(bytes.NewReader(f.content))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// saveRevision stores a revision with its files. Of one that is stored already, it replaces
// the files that are not part of the hash, and the versions.
func saveRevision(tx *conn, r *uma.Revision, files []revisionFile) error {
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
			r.Realm, r.Hash, millis(r.Since), r.OPA, r.Umpire)
		if err != nil {
			return writing("policy revision", err)
		}
		key = int64(added)
	}
	for i := range files {
		f := &files[i]
		if len(stored) > 0 && !f.beside {
			continue
		}
		err := runAll(tx, []command{
			{`INSERT INTO policy_file (realm, hash, encoding, content) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
				[]any{r.Realm, f.hash, f.encoding, f.content}},
			{`INSERT INTO revision_file (revision, path, beside, file) SELECT ?, ?, ?, key FROM policy_file WHERE realm = ? AND hash = ?`,
				[]any{key, f.path, f.beside, r.Realm, f.hash}},
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
			AND NOT EXISTS (SELECT 1 FROM revision_file o WHERE o.file = policy_file.key)`, []any{keysText(files)}},
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
	files []revisionFile
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
	r.Sources, r.Beside = map[string]string{}, map[string]string{}
	for i := range r.files {
		f := &r.files[i]
		text, err := f.text()
		if err != nil {
			return nil, fmt.Errorf("read file %s of policy revision %s: %w", f.path, r.Hash, err)
		}
		if f.beside {
			r.Beside[f.path] = text
			continue
		}
		r.Sources[f.path] = text
	}
	return &r.Revision, nil
}

func scanRevisionFile(scan scanFunc) (f revisionFile, err error) {
	err = scan(&f.path, &f.beside, &f.encoding, &f.content)
	return f, err
}
