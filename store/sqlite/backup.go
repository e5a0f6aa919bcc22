package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

	"zombiezen.com/go/sqlite"
)

// Backup writes a complete and consistent copy of the database at path to a new file. A
// server may be running. The file must not exist. Only its owner may read it, because
// it has users and every record.
//
// It is one long read transaction: later commits stay in the write-ahead log until it
// ends.
func Backup(ctx context.Context, path, to string) (err error) {
	c, err := openConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // VACUUM INTO takes an empty file
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	c.db.SetInterrupt(ctx.Done())
	s, err := c.bound(`VACUUM INTO ?`, []any{to})
	if err != nil {
		return errors.Join(err, file.Close())
	}
	_, err = s.Step()
	s.end(&err)
	if err != nil {
		return errors.Join(fmt.Errorf("copy database: %w", err), file.Close())
	}
	return errors.Join(file.Sync(), file.Close())
}
