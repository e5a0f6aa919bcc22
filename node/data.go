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
	"example.com/umpire/store"
	"example.com/umpire/uma"
)

// largeWAL is the size of the write-ahead log above which a warning is logged. The log keeps
// everything that is written while a read transaction is open.
const largeWAL = 256 << 20

// errNoKey refuses to open a database that is not in the data folder without a key. A key in a
// folder that nobody named would be lost, or not be that of the other servers.
var errNoKey = errors.New("a PostgreSQL database needs a key-encryption key that all its servers have: " +
	"name its file with --key-file, or a folder with umpire.key with --data, or give the key in UMPIRE_KEY")

// database returns the path of the SQLite database.
func (n *Node) database() string { return filepath.Join(n.Data, "umpire.db") }

// openFolder prepares the data folder. If the database is not in it, only a key file may be, for
// which it is not locked.
func (n *Node) openFolder(ctx context.Context) error {
	switch {
	case n.Database == "":
		return n.lockFolder(ctx)
	case n.KeyFile != "" || n.Key != "":
		return nil
	case n.Data == "":
		return errNoKey
	}
	if _, err := os.Stat(n.Data); n.Existing && errors.Is(err, fs.ErrNotExist) {
		return nil // a database that exists needs a key that exists, and no folder for another
	}
	return n.secureFolder(ctx)
}

// secureFolder creates the data folder and restricts it to this user.
func (n *Node) secureFolder(ctx context.Context) error {
	notice, err := folder.Secure(n.Data)
	if err != nil {
		return fmt.Errorf("prepare the data folder: %w", err)
	}
	if notice != "" {
		n.Log.WarnContext(ctx, notice, "folder", n.Data)
	}
	return nil
}

// lockFolder prepares the folder of an SQLite database, and for a server locks it.
func (n *Node) lockFolder(ctx context.Context) (err error) {
	if err := n.secureFolder(ctx); err != nil {
		return err
	}
	if n.Serving {
		if n.lock, err = folder.Take(n.Data, n.Now()); err != nil {
			return fmt.Errorf("lock the data folder: %w", err)
		}
		return nil
	}
	// If the database of a running server was deleted, a command would create a new one,
	// which the server would not read.
	if _, err := os.Stat(n.database()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	holder, err := folder.Holder(n.Data)
	if err == nil && holder != "" {
		err = fmt.Errorf("%s was deleted while %s has it open: stop that server and restore a backup", n.database(), holder)
	}
	return err
}

// A walSizer is a store whose write-ahead log is a file of its own, of so many bytes.
type walSizer interface{ WALSize() int64 }

// An indexer is a store that indexes decision records some time after it has written them.
type indexer interface {
	IndexLag(ctx context.Context) (uma.Backlog, error) // the records that are not indexed yet
}

// A remote is a store that is another process.
type remote interface {
	RoundTrips() int64             // that requests have made so far
	Connections() (used, most int) // to it

	// Waits is how often all connections were in use when one was needed, and how long was waited then.
	Waits() (times int64, took time.Duration)
}

// A replicated is a store that may have a replica.
type replicated interface {
	Replica() (state store.ReplicaState, named bool)
}

// replica returns what asks for the state of the store's replica, nil without one.
func (n *Node) replica() func() store.ReplicaState {
	db, ok := n.Store.(replicated)
	if !ok {
		return nil
	}
	if _, named := db.Replica(); !named {
		return nil
	}
	return func() store.ReplicaState {
		state, _ := db.Replica()
		return state
	}
}

// watchReplica returns what logs whether the store's replica is used, if that has changed since it was called last.
func (n *Node) watchReplica() func(ctx context.Context) {
	read, used := n.replica(), true
	return func(ctx context.Context) {
		if read == nil {
			return
		}
		s := read()
		switch {
		case used && !s.Used:
			n.Log.WarnContext(ctx, "lists are read from the primary: the replica of the database is not used", "err", s.Problem)
		case !used && s.Used:
			n.Log.InfoContext(ctx, "lists are read from the replica of the database again")
		}
		used = s.Used
	}
}

// driverMetrics adds the metrics of what only some stores have.
func (n *Node) driverMetrics() {
	if read := n.replica(); read != nil {
		n.metrics.Replica(func() (used bool, lag time.Duration, fromReplica, fromPrimary int64) {
			s := read()
			return s.Used, s.Lag, s.FromReplica, s.FromPrimary
		})
	}
	if wal, ok := n.Store.(walSizer); ok {
		n.metrics.WALSize(wal.WALSize)
	}
	if db, ok := n.Store.(remote); ok {
		n.metrics.Database(db.RoundTrips, db.Connections, db.Waits)
	}
	if index, ok := n.Store.(indexer); ok {
		n.metrics.IndexLag(func() (int, time.Duration, bool) { return n.indexLag(index) })
	}
}

// watchStore checks the store once a second and logs each change of the result. The check
// makes the store refuse writes if its file was deleted.
func (n *Node) watchStore(ctx context.Context, tick <-chan time.Time) {
	logged, large := "", false
	wal, hasWAL := n.Store.(walSizer)
	watchReplica := n.watchReplica()
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
		case text != "" && logged == "":
			n.Log.ErrorContext(ctx, "the store cannot be written", "err", text)
		case text == "" && logged != "":
			n.Log.InfoContext(ctx, "the store can be written again", "was", logged)
		}
		logged = text
		watchReplica(ctx)
		if !hasWAL {
			continue
		}
		size := wal.WALSize()
		if size > largeWAL && !large {
			n.Log.WarnContext(ctx, "the write-ahead log is large: a long read transaction, such as a backup, keeps it from being cut", "bytes", size)
		}
		large = size > largeWAL
	}
}

// indexLag returns how many decision records are not indexed yet, and the age of the oldest
// of them.
func (n *Node) indexLag(index indexer) (records int, age time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	lag, err := index.IndexLag(ctx)
	if err != nil {
		n.Log.WarnContext(ctx, "metrics of the index of decision records", "err", err)
		return 0, 0, false
	}
	if !lag.Oldest.IsZero() {
		age = max(0, n.Now().Sub(lag.Oldest))
	}
	return lag.Records, age, true
}
