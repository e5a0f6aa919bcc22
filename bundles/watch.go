package bundles

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long a folder must be left alone before it is looked at:
	// editors write a file in several steps.
	quiet = 50 * time.Millisecond

	// poll is how often a folder is looked at in any case. Notifications are
	// lost on network file systems and when the kernel's limit of watches is
	// reached, and none is sent when a link to the folder is moved.
	poll = 500 * time.Millisecond
)

// Watch calls changed whenever something in a folder is another than it was, and
// once at the beginning, so that nothing is missed between a Read before and the
// watch. It returns when ctx is done. A folder that is gone or comes back has
// changed, too.
func Watch(ctx context.Context, dir string, changed func()) {
	w := watcher{dir: dir, seed: maphash.MakeSeed()}
	// Without notifications, as where the kernel has none left, polling must do.
	if notify, err := fsnotify.NewWatcher(); err == nil {
		defer notify.Close()
		w.notify = notify
	}
	w.changed()
	changed()

	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	still := time.NewTimer(quiet)
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.events():
			still.Reset(quiet)
			continue
		case <-w.errors(): // such as an overflow: the next poll sees what was lost
			continue
		case <-still.C:
		case <-ticker.C:
		}
		if w.changed() {
			changed()
		}
	}
}

// A watcher knows what a folder looked like.
type watcher struct {
	dir    string
	notify *fsnotify.Watcher // nil: polling alone
	seed   maphash.Seed
	seen   uint64
}

func (w *watcher) events() <-chan fsnotify.Event {
	if w.notify == nil {
		return nil
	}
	return w.notify.Events
}

func (w *watcher) errors() <-chan error {
	if w.notify == nil {
		return nil
	}
	return w.notify.Errors
}

// changed compares the contents of the files that Read reads, because archives, rsync
// and cp -p keep sizes and times. It watches the folders that it finds.
func (w *watcher) changed() bool {
	var h maphash.Hash
	h.SetSeed(w.seed)
	// The link to the folder may have moved: what is watched is where it leads.
	dir, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		dir = w.dir
	}
	fmt.Fprintln(&h, dir)
	if err := w.look(dir, &h); err != nil {
		fmt.Fprintln(&h, err)
	}
	before := w.seen
	w.seen = h.Sum64()
	return w.seen != before
}

func (w *watcher) look(dir string, h *maphash.Hash) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	buffer := make([]byte, 32<<10)
	each := walk{
		fsys: root.FS(),
		file: func(name string, content io.Reader) error {
			n, err := io.CopyBuffer(h, content, buffer)
			fmt.Fprintln(h, name, n, err)
			return nil
		},
		folder: func(name string) { w.watch(filepath.Join(dir, filepath.FromSlash(name))) },
		wrong:  func(name string, err error) { fmt.Fprintln(h, name, err) },
	}
	return each.dir(".", nil)
}

func (w *watcher) watch(dir string) {
	if w.notify != nil {
		_ = w.notify.Add(dir) // again is no error; what cannot be watched is polled
	}
}
