package realm

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"example.com/umpire/uma"
)

// Read reads and checks a realm file. What is wrong with it is Mistakes, all of
// them; any other error is that the file could not be read. Notices are about a
// file that is right, too. Secrets written env:NAME are looked up by getenv.
func Read(path string, getenv func(string) string) (*uma.RealmSpec, []Notice, error) {
	return readFile(&reader{file: path, getenv: getenv, bundleExists: true})
}

// Check is Read without secrets that are kept elsewhere, which whoever checks a file
// need not have: those written env:NAME or file:PATH are empty.
func Check(path string) (*uma.RealmSpec, []Notice, error) {
	return readFile(&reader{file: path, bundleExists: true})
}

func readFile(r *reader) (*uma.RealmSpec, []Notice, error) {
	content, err := os.ReadFile(r.file)
	if err != nil {
		return nil, nil, fmt.Errorf("read a realm file: %w", err)
	}
	return r.read(content)
}

// Parse is Read of what would be the content of the file name. Whether the
// folder of the policies exists is not looked at.
func Parse(name string, content []byte, getenv func(string) string) (*uma.RealmSpec, []Notice, error) {
	r := &reader{file: name, getenv: getenv}
	return r.read(content)
}

// A reader is one reading of a file.
type reader struct {
	file         string
	getenv       func(string) string // nil: secrets that are kept elsewhere are not looked up
	bundleExists bool                // it must

	mistakes []Notice
	notices  []Notice

	// resolved is what the content stands for beside its letters: secrets kept
	// elsewhere, paths.
	resolved strings.Builder
}

func (r *reader) read(content []byte) (*uma.RealmSpec, []Notice, error) {
	var spec *uma.RealmSpec
	if root, ok := r.load(content); ok {
		spec = r.realm(root)
	}
	sortNotices(r.mistakes)
	sortNotices(r.notices)
	if len(r.mistakes) > 0 {
		return nil, r.notices, Mistakes(r.mistakes)
	}
	spec.Content = append(content[:len(content):len(content)], r.resolved.String()...)
	return spec, r.notices, nil
}

// beside is a path of the file, which is relative to it.
func (r *reader) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(r.file), path)
}

// resolve notes what a path of the file stands for.
func (r *reader) resolve(path, s string) { fmt.Fprintf(&r.resolved, "\x00%s\x00%s", path, s) }

// maxSecret bounds the files that secrets are read from.
const maxSecret = 64 << 10

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// secret is a secret: itself, env:NAME or file:PATH.
func (v value) secret() string {
	s, ok := v.raw()
	if !ok {
		return ""
	}
	name, isEnv := strings.CutPrefix(s, "env:")
	path, isFile := strings.CutPrefix(s, "file:")
	switch {
	case s == "":
		v.wrong("is empty")
	case isEnv && !envName.MatchString(name):
		v.wrong("env: is not followed by the name of a variable")
	case (isEnv || isFile) && v.r.getenv == nil:
		return ""
	case isEnv:
		s = v.r.getenv(name)
		if s == "" {
			v.wrong("the environment variable %s is not set, or empty", name)
		}
		v.r.resolve(v.path, s)
	case isFile:
		var err error
		s, err = secretFile(v.r.beside(path))
		if err != nil {
			v.wrong("%s", err)
		}
		v.r.resolve(v.path, s)
	}
	return s
}

// secretFile is the content of a file without the line end behind it, and
// without the byte order mark that editors put before it.
func secretFile(path string) (string, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe waits
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxSecret {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	s := strings.TrimPrefix(string(content), "\ufeff")
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}
