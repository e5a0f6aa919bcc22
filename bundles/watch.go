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
	// quiet is how long no notification must arrive before the folder is read: editors
	// write a file in several steps.
	quiet = 50 * time.Millisecond

	// poll is how often the folder is read without notifications. These are lost on network
	// file systems and beyond the kernel's limit of watches, and none is sent when a link to
	// the folder is moved.
	poll = 500 * time.Millisecond
)

// Watch calls changed whenever a file changes that ReadPath would read, also if the folder or
// the bundle file goes or comes back. It calls it once at the beginning, so that no change
// between an earlier reading and the watch is missed. It returns when ctx is done.
func Watch(ctx context.Context, name string, changed func()) {
	w := watcher{path: name, seed: maphash.MakeSeed()}
	// If the kernel has no more notifications, the folder is polled.
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
		case err := <-w.errors():
			_ = err // such as an overflow: the next poll finds the changes
			continue
		case <-still.C:
		case <-ticker.C:
		}
		if w.changed() {
			changed()
		}
	}
}

// A watcher has a hash of a folder's files, or of a bundle file, as they were.
type watcher struct {
	path   string
	notify *fsnotify.Watcher // nil: polling only
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

// changed reports whether the contents of the files have changed since the last call. It
// compares contents because archives, rsync and cp -p keep sizes and times. It also adds
// the folders that it finds to the watched ones.
func (w *watcher) changed() bool {
	var h maphash.Hash
	h.SetSeed(w.seed)
	// If the path is a link, it may have been moved: its target is watched.
	target, err := filepath.EvalSymlinks(w.path)
	if err != nil {
		target = w.path
	}
	fmt.Fprintln(&h, target)
	look := w.look
	if info, err := os.Stat(target); err == nil && info.Mode().IsRegular() {
		look = w.lookAtFile
	}
	if err := look(target, &h); err != nil {
		fmt.Fprintln(&h, err)
	}
	before := w.seen
	w.seen = h.Sum64()
	return w.seen != before
}

// lookAtFile watches the folder of a bundle file: mostly another file is put in its place.
func (w *watcher) lookAtFile(name string, h *maphash.Hash) error {
	w.watch(filepath.Dir(name))
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()                   // it is only read
	n, err := io.Copy(h, io.LimitReader(f, maxSize+1)) // a larger one is not read
	fmt.Fprintln(h, n)
	return err
}

func (w *watcher) look(dir string, h *maphash.Hash) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	buffer := make([]byte, 32<<10)
	each := walk{
		fsys:   root.FS(),
		signed: true, // the signature may be written last
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
		_ = w.notify.Add(dir) // a folder that cannot be watched is polled
	}
}
