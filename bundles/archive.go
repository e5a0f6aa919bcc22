package bundles

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode"

	"example.com/umpire/place"
)

// Suffix ends the names of bundle files.
const Suffix = ".tar.gz"

// maxLevels limits the folders above a file of a bundle: data is nested as deeply.
const maxLevels = 100

// ReadPath returns the bundle in a policy folder, or in a bundle file as `opa build` writes
// it.
func ReadPath(name string, o Options) (*Bundle, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read policies: %w", err)
	case info.IsDir():
		return ReadDir(name, o)
	case !info.Mode().IsRegular(): // opening a pipe would block
		return nil, fmt.Errorf("read policies: %s is neither a folder nor a bundle file (%s)", name, Suffix)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	defer func() { _ = f.Close() }() // it is only read
	return ReadArchive(f, o)
}

// ReadArchive returns the bundle in a tar archive that is compressed by gzip. It reads the
// same files as Read, but also those whose names begin with a dot, as OPA does: `opa build`
// puts the path of the folder that it read before the names of policies, and the name of a
// folder in it may begin with a dot.
//
// The archive is read once and to its end, because the checksum is there. Everything that
// two programs may unpack differently is refused.
func ReadArchive(content io.Reader, o Options) (*Bundle, error) {
	a := archive{reader: newReader(o), seen: map[string]bool{}}
	if err := a.unpack(content); err != nil {
		return nil, &place.Mistake{File: o.Folder, Text: err.Error()}
	}
	if len(a.mistakes) > 0 { // mistakes in the files may be due to those of the archive
		return a.result()
	}
	if o.Keys != nil {
		if err := a.verify(signBundle, nil); err != nil {
			return nil, err
		}
	}
	a.parse()
	return a.result()
}

// An archive is a reader of the entries of a bundle file.
type archive struct {
	*reader
	seen map[string]bool
	size int64 // of all files: a sparse one has more bytes than the archive
}

func (a *archive) unpack(content io.Reader) error {
	packed, err := gzip.NewReader(&limited{content, maxSize})
	if err != nil {
		return fmt.Errorf("want a tar archive that is compressed by gzip: %w", err)
	}
	unpacked := &limited{packed, maxSize}
	entries := tar.NewReader(unpacked)
	for n := 1; ; n++ {
		header, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return readEnd(unpacked)
		case err != nil:
			return damaged(err)
		case n > maxFiles:
			return fmt.Errorf("more than %d entries", maxFiles)
		}
		if err := a.entry(header, entries); err != nil {
			return damaged(err)
		}
	}
}

// readEnd reads the rest of an archive, so that gzip compares its checksum. Another archive
// may follow, which some programs unpack, too: only zeros are accepted.
func readEnd(unpacked io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := unpacked.Read(buffer)
		if strings.Trim(string(buffer[:n]), "\x00") != "" {
			return errors.New("there is something behind the end of the tar archive")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return damaged(err)
		}
	}
}

var errTooLarge = fmt.Errorf("more than %d MiB", maxSize>>20)

func damaged(err error) error {
	if errors.Is(err, errTooLarge) {
		return errTooLarge
	}
	return fmt.Errorf("the file is damaged or incomplete: %w", err)
}

// A limited reader fails beyond a number of bytes.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return n, errTooLarge
	}
	return n, err
}

// entry reads one entry. Its error ends the reading; mistakes in the bundle are collected.
func (a *archive) entry(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader && onlyComment(header) {
		return nil
	}
	name, isDir := relative(header.Name), header.Typeflag == tar.TypeDir
	if isDir && (name == "" || name == ".") {
		return nil
	}
	if !fs.ValidPath(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.Contains(name, `\`) {
		a.mistakes = append(a.mistakes, &place.Mistake{
			File: a.Folder, Text: fmt.Sprintf("%q is not the path of a file inside the bundle", header.Name),
		})
		return nil
	}
	if text := refused(header, name); text != "" {
		a.mistake(name, errors.New(text))
		return nil
	}
	if isDir {
		return nil
	}
	if a.seen[name] {
		a.mistake(name, errors.New("is in the archive twice"))
		return nil
	}
	a.seen[name] = true
	if a.size += min(header.Size, maxSize+1); a.size > maxSize {
		return errTooLarge
	}
	if isAbout(name) || isPolicy(name) || isData(name) {
		text, err := io.ReadAll(content)
		a.keep(name, string(text))
		return err
	}
	if !hidden(name) {
		a.unread(name)
	}
	return nil
}

// onlyComment reports whether a global header has no effect on entries. `git archive` writes
// one with the commit.
func onlyComment(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if key != "comment" {
			return false
		}
	}
	return true
}

// relative is the path of an entry inside the bundle: `opa build` writes /album.rego, and tar
// writes ./album.rego.
func relative(name string) string {
	if short, ok := strings.CutPrefix(name, "./"); ok {
		name = short
	} else {
		name = strings.TrimPrefix(name, "/")
	}
	return strings.TrimSuffix(name, "/")
}

// refused says why an entry is not taken; "" if it is.
func refused(header *tar.Header, name string) string {
	switch base := path.Base(name); {
	case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir:
		return "is a link or a device: a bundle has files and folders only"
	case len(name) > maxPath:
		return errLongPath.Error()
	case strings.Count(name, "/") > maxLevels:
		return fmt.Sprintf("is in more than %d folders", maxLevels)
	case strings.HasPrefix(name, "umpire/"):
		return "the folder umpire is that of the shipped library: build the bundle inside the policy folder, by `opa build -b .`"
	case header.Typeflag == tar.TypeDir:
		return ""
	case path.Ext(base) == ".wasm":
		return noWasm
	case base == "patch.json":
		return "a delta bundle changes data only: build the whole bundle, by `opa build -b .`"
	case strings.HasSuffix(name, ".manifest.pb"), strings.HasSuffix(name, ManifestName) && name != ManifestName:
		return "want the manifest as JSON in " + ManifestName + " at the top of the bundle"
	case isPolicy(name) && header.Size > maxFileSize:
		return fmt.Sprintf("more than %d MiB", maxFileSize>>20)
	}
	return ""
}
