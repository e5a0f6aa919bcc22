package bundles

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	w := watcher{dir: dir}
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
	seen   [sha256.Size]byte
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

// changed looks at the folder anew: names, sizes and times of what is in it,
// links followed. It watches the folders that it finds.
func (w *watcher) changed() bool {
	h := sha256.New()
	// The link to the folder may have moved: what is watched is where it leads.
	dir, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		dir = w.dir
	}
	fmt.Fprintln(h, dir)
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			fmt.Fprintln(h, name, err)
			return nil
		}
		if strings.HasPrefix(entry.Name(), ".") && name != dir {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			w.watch(name)
			return nil
		}
		info, err := os.Stat(name)
		if err != nil {
			fmt.Fprintln(h, name, err)
			return nil
		}
		fmt.Fprintln(h, name, info.Size(), info.ModTime().UnixNano(), info.Mode())
		return nil
	})
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	moved := sum != w.seen
	w.seen = sum
	return moved
}

func (w *watcher) watch(dir string) {
	if w.notify != nil {
		_ = w.notify.Add(dir) // again is no error; what cannot be watched is polled
	}
}
