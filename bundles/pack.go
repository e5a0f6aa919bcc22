package bundles

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"example.com/umpire/place"
)

// MaxArchive is how many bytes a bundle file may have.
const MaxArchive = maxSize

// Pack writes the files of a policy folder that ReadDir reads, with its tests, as a bundle
// file, with its manifest and, if it is signed, its signature. The bundle file has the same
// content as the folder, but the roots of the manifest hold. Mistakes of the folder are those
// of ReadDir; shown is put before their paths.
func Pack(dir, shown string, to io.Writer) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("read policy folder: %w", err)
	}
	defer root.Close()
	_, unsigned := root.Stat(signaturesName)
	packed := gzip.NewWriter(to)
	entries := tar.NewWriter(packed)
	r := newReader(Options{Folder: shown})
	w := walk{fsys: root.FS(), signed: unsigned == nil, folder: func(string) {}, wrong: r.mistake}
	w.file = func(name string, content io.Reader) error {
		text, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if len(text) > maxFileSize {
			return nil // walk reports it
		}
		return pack(entries, name, text)
	}
	err = w.dir(".", nil)
	if len(r.mistakes) > 0 {
		return errors.Join(r.mistakes...)
	}
	if err == nil {
		err = errors.Join(entries.Close(), packed.Close())
	}
	if err != nil {
		return &place.Mistake{File: shown, Text: err.Error()}
	}
	return nil
}

func pack(entries *tar.Writer, name string, content []byte) error {
	const everybody = fs.FileMode(0o644)
	err := entries.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: int64(everybody)})
	if err != nil {
		return err
	}
	_, err = entries.Write(content)
	return err
}
