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

// largeWAL is a write-ahead log that should not be there: it is as large as what was
// written while something read for long.
const largeWAL = 256 << 20

// database is the file that everything is in.
func (n *Node) database() string { return filepath.Join(n.Data, "umpire.db") }

// openFolder makes the data folder, keeps others out of it, and takes it for a server.
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
	// A command beside a server whose database was deleted would make a new one, and
	// what it writes there the server would never see.
	if _, err := os.Stat(n.database()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	holder, err := folder.Holder(n.Data)
	if err == nil && holder != "" {
		err = fmt.Errorf("%s is gone, and %s still has it open: stop that server and restore a backup", n.database(), holder)
	}
	return err
}

// watchStore looks once a second whether the store can keep what it is given, which
// makes it refuse writes when its file is gone, and says so when that changes.
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
			n.Log.ErrorContext(ctx, "the store cannot keep what it is given", "err", text)
		case text == "" && said != "":
			n.Log.InfoContext(ctx, "the store is good again", "was", said)
		}
		said = text
		size := n.Store.WALSize()
		if size > largeWAL && !large {
			n.Log.WarnContext(ctx, "the write-ahead log is large: something reads the database for long, such as a backup", "bytes", size)
		}
		large = size > largeWAL
	}
}
