package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"example.com/umpire/folder"
)

// largeWAL is a size of the write-ahead log that deserves a warning: the log grows by
// all that is written during a long read transaction.
const largeWAL = 256 << 20

// database is the path of the database.
func (n *Node) database() string { return filepath.Join(n.Data, "umpire.db") }

// openFolder makes the data folder, keeps other users out of it, and locks it if this
// is a server.
func (n *Node) openFolder(ctx context.Context) error {
	notice, err := folder.Secure(n.Data)
	if err != nil {
		return fmt.Errorf("prepare the data folder: %w", err)
	}
	if notice != "" {
		n.Log.WarnContext(ctx, notice, "folder", n.Data)
	}
	if n.Serving {
		if n.hold, err = folder.Take(n.Data, n.Now()); err != nil {
			return fmt.Errorf("take the data folder: %w", err)
		}
		return nil
	}
	// Beside a server whose database was deleted, a command would make a new one, and
	// the server would never see what the command writes.
	if _, err := os.Stat(n.database()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	holder, err := folder.Holder(n.Data)
	if err == nil && holder != "" {
		err = fmt.Errorf("%s is gone, and %s still has it open: stop that server and restore a backup", n.database(), holder)
	}
	return err
}

// watchStore checks the store once a second, which makes the store refuse writes when
// its file is gone, and logs each change of the outcome.
func (n *Node) watchStore(ctx context.Context, tick <-chan time.Time) {
	said, large := "", false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		text := ""
		if err := n.Store.Check(ctx); err != nil && ctx.Err() == nil {
			text = err.Error()
		}
		switch {
		case text != "" && said == "":
			n.Log.ErrorContext(ctx, "the store cannot be written", "err", text)
		case text == "" && said != "":
			n.Log.InfoContext(ctx, "the store can be written again", "was", said)
		}
		said = text
		size := n.Store.WALSize()
		if size > largeWAL && !large {
			n.Log.WarnContext(ctx, "the write-ahead log is large: something reads the database for long, such as a backup", "bytes", size)
		}
		large = size > largeWAL
	}
}
