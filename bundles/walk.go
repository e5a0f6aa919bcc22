package bundles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Limits of a folder, so that one that was named by mistake is refused before it is
// read into memory.
const (
	maxFiles    = 10_000
	maxFolders  = 1_000 // links may lead to one folder many times
	maxFileSize = 8 << 20
	maxSize     = 64 << 20
)

// A walk goes through the policy files of a folder: *.rego, data.json and data.yaml in
// all folders. Names that begin with a dot are skipped. Links are followed: fsys must
// keep them inside (os.Root does). Read and Watch share it, so that Watch notices a
// change of every file that Read reads.
type walk struct {
	fsys   fs.FS
	file   func(name string, content io.Reader) error
	folder func(name string)
	other  func(name string) // a file that is not read; may be nil
	wrong  func(name string, err error)

	files, folders int
	size           int64
}

// dir goes through one folder; above are those that it is in. Only a limit on
// the folder as a whole, and file, end the walk.
func (w *walk) dir(name string, above []fs.FileInfo) error {
	info, err := fs.Stat(w.fsys, name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		w.wrong(name, errors.New("a link to a folder that it is in"))
		return nil
	}
	if w.folders++; w.folders > maxFolders {
		return fmt.Errorf("more than %d folders", maxFolders)
	}
	w.folder(name)
	entries, err := fs.ReadDir(w.fsys, name)
	if err != nil {
		w.wrong(name, err)
		return nil
	}
	above = append(slices.Clip(above), info)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := w.entry(path.Join(name, entry.Name()), above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(name string, above []fs.FileInfo) error {
	info, err := fs.Stat(w.fsys, name)
	switch {
	case err != nil: // a link may lead to denials: it is not passed over
		w.wrong(name, fmt.Errorf("cannot be followed inside the folder: %w", err))
	case info.IsDir():
		return w.dir(name, above)
	case !isPolicy(name) && !isData(name):
		if w.other != nil {
			w.other(name)
		}
	case !info.Mode().IsRegular():
		w.wrong(name, errors.New("no regular file"))
	default:
		return w.open(name)
	}
	return nil
}

func (w *walk) open(name string) error {
	f, err := w.fsys.Open(name)
	if err != nil {
		w.wrong(name, err)
		return nil
	}
	defer f.Close()
	limited := &io.LimitedReader{R: f, N: maxFileSize + 1}
	if err := w.file(name, limited); err != nil {
		return err
	}
	if limited.N <= 0 {
		w.wrong(name, fmt.Errorf("more than %d MiB", maxFileSize>>20))
	}
	w.files++
	w.size += maxFileSize + 1 - limited.N
	if w.files > maxFiles || w.size > maxSize {
		return fmt.Errorf("more than %d files or %d MiB", maxFiles, maxSize>>20)
	}
	return nil
}

func isPolicy(name string) bool { return strings.HasSuffix(name, ".rego") }

// resemblesData reports whether a file that is not read may have been meant as data.
func resemblesData(name string) bool {
	return slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(name))
}

func isData(name string) bool {
	return slices.Contains([]string{"data.json", "data.yaml", "data.yml"}, path.Base(name))
}
