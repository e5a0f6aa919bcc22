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

// Limits of a folder. They refuse a folder that was configured by mistake before it is read
// into memory.
const (
	maxFiles    = 10_000
	maxFolders  = 1_000 // counted each time if several links lead to one
	maxFileSize = 8 << 20
	maxSize     = 64 << 20
	maxPath     = 1024 // bytes: an index of a database has it
)

var errLongPath = fmt.Errorf("its path is longer than %d bytes", maxPath)

// A walk visits the policy files of a folder: *.rego, data.json and data.yaml in all folders.
// It skips names that begin with a dot, and follows links: fsys must refuse those that
// lead out of the folder, as os.Root does. Read and Watch use it, so that Watch notices
// changes of exactly the files that Read reads.
type walk struct {
	fsys   fs.FS
	signed bool // also the signature, and the manifest whatever it is
	file   func(name string, content io.Reader) error
	folder func(name string)
	other  func(name string) // called for files that are not read; may be nil
	wrong  func(name string, err error)

	files, folders int
	size           int64
}

// dir visits one folder; above are the folders that contain it. Its error ends the walk: a
// limit of the whole folder was exceeded, or file returned an error.
func (w *walk) dir(name string, above []fs.FileInfo) error {
	info, err := fs.Stat(w.fsys, name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		w.wrong(name, errors.New("a link to a folder that contains it"))
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
		if strings.HasPrefix(entry.Name(), ".") && (name != "." || !w.readsAbout(entry.Name())) {
			continue
		}
		if err := w.entry(path.Join(name, entry.Name()), above); err != nil {
			return err
		}
	}
	return nil
}

// readsAbout reports whether a file at the top whose name begins with a dot is read. The
// manifest of a folder that need not be signed is only kept: it is not read if it is no file.
func (w *walk) readsAbout(name string) bool {
	if w.signed || name != ManifestName {
		return w.signed && isAbout(name)
	}
	info, err := fs.Stat(w.fsys, name)
	return err == nil && info.Mode().IsRegular()
}

func (w *walk) entry(name string, above []fs.FileInfo) error {
	info, err := fs.Stat(w.fsys, name)
	switch {
	case err != nil: // mostly a link; its target may have denials, so that it is not skipped
		w.wrong(name, fmt.Errorf("cannot be found inside the folder: %w", err))
	case info.IsDir():
		return w.dir(name, above)
	case !isPolicy(name) && !isData(name) && !isAbout(name):
		if w.other != nil {
			w.other(name)
		}
	case len(name) > maxPath:
		w.wrong(name, errLongPath)
	case !info.Mode().IsRegular():
		w.wrong(name, errors.New("not a regular file"))
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

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

// isAbout reports whether a file is about the others: their signature, or the manifest.
func isAbout(name string) bool { return name == signaturesName || name == ManifestName }

// resemblesData reports whether a file that is not read may be a data file with a wrong name.
func resemblesData(name string) bool {
	return slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(name))
}

func isData(name string) bool {
	return slices.Contains([]string{"data.json", "data.yaml", "data.yml"}, path.Base(name))
}
