package realm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"example.com/umpire/uma"
)

// Read reads and checks a realm file. The error is Mistakes if the file is mistaken, and
// another one if it cannot be read. There may be notices without a mistake. Secrets
// written env:NAME are looked up by getenv.
func Read(path string, getenv func(string) string) (*uma.RealmSpec, []Notice, error) {
	return readFile(&reader{file: path, getenv: getenv, bundleExists: true})
}

// Check is Read for callers that do not have the secrets: those written env:NAME or
// file:PATH are not looked up and stay empty.
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

// Parse is Read for content that would be in the file name. It does not check that the
// policy source exists.
func Parse(name string, content []byte, getenv func(string) string) (*uma.RealmSpec, []Notice, error) {
	r := &reader{file: name, getenv: getenv}
	return r.read(content)
}

// A reader is one reading of a file.
type reader struct {
	file         string
	getenv       func(string) string // nil: secrets written env: and file: are not looked up
	bundleExists bool                // check that the policy source exists

	mistakes []Notice
	notices  []Notice

	// resolved are the paths and the secrets outside of the file that its content refers
	// to, so that a change of one of them counts as a change of the file.
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

// locate resolves a path in the file, which is relative to the file's folder.
func (r *reader) locate(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(r.file), path)
}

// resolve records the path or secret that the value at path refers to.
func (r *reader) resolve(path, s string) { fmt.Fprintf(&r.resolved, "\x00%s\x00%s", path, s) }

// maxSecret is the largest file that a secret is read from, in bytes.
const maxSecret = 64 << 10

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// secret reads a secret: the secret itself, env:NAME or file:PATH.
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
		v.wrong("want the name of an environment variable after env:")
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
		s, err = secretFile(v.r.locate(path))
		if err != nil {
			v.wrong("%s", err)
		}
		v.r.resolve(v.path, s)
	}
	return s
}

// secretFile reads a secret from a file, without the byte order mark at its beginning and
// the line break at its end that editors write.
func secretFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular(): // opening a pipe would block
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Size() > maxSecret:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecret)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	s := strings.TrimPrefix(string(content), "\ufeff")
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	if s == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return s, nil
}
