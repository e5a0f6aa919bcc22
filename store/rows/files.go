package rows

import (
	"bytes"
	"compress/gzip"
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

// A File is a file of a revision as it is stored.
type File struct {
	Path     string
	Beside   bool   // not part of the hash of the revision
	Hash     []byte // SHA-256 of the text
	Encoding int64
	Content  []byte
}

// PackFiles compresses the files of a revision, in the order of their paths: the sources, then
// those beside them.
func PackFiles(r *uma.Revision) ([]File, error) {
	var packed []File
	for _, part := range []struct {
		files  map[string]string
		beside bool
	}{{r.Sources, false}, {r.Beside, true}} {
		for _, path := range slices.Sorted(maps.Keys(part.files)) {
			f, err := packFile(part.files[path])
			if err != nil {
				return nil, fmt.Errorf("compress %s: %w", path, err)
			}
			f.Path, f.Beside = path, part.beside
			packed = append(packed, f)
		}
	}
	return packed, nil
}

func packFile(text string) (File, error) {
	hash := sha256.Sum256([]byte(text))
	f := File{Hash: hash[:], Encoding: plainFile, Content: []byte(text)}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		return f, err
	}
	if err := w.Close(); err != nil {
		return f, err
	}
	if b.Len() < len(text) {
		f.Encoding, f.Content = gzipFile, b.Bytes()
	}
	return f, nil
}

func (f *File) text() (string, error) {
	if f.Encoding == plainFile {
		return string(f.Content), nil
	}
	r, err := gzip.NewReader(bytes.NewReader(f.Content))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// Unpack gives a revision the texts of its files.
func Unpack(r *uma.Revision, files []File) error {
	r.Sources, r.Beside = map[string]string{}, map[string]string{}
	for i := range files {
		f := &files[i]
		text, err := f.text()
		if err != nil {
			return fmt.Errorf("file %s: %w", f.Path, err)
		}
		if f.Beside {
			r.Beside[f.Path] = text
			continue
		}
		r.Sources[f.Path] = text
	}
	return nil
}
