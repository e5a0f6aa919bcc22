package bundles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// A Bundle is what a policy folder holds. Paths are relative to the folder, with
// slashes.
type Bundle struct {
	Files   map[string]string         // modules and data files as they were read, without tests
	Modules map[string]*ast.Module    // *.rego, without tests
	Tests   map[string]*ast.Module    // *_test.rego
	Data    map[string]map[string]any // data.json and data.yaml, each under the root its folder gives it
}

// What a folder may hold at most, so that one that was named by mistake is
// refused before it is read into memory.
const (
	maxFiles    = 10_000
	maxFileSize = 8 << 20
	maxSize     = 64 << 20

	// Levels of the parser: two for a bracket, ten for a call. It recurses, and
	// a stack that overflows ends the process.
	maxDepth = 2000
)

// ReadDir returns the bundle in a folder. A link that leads out of the folder is
// a mistake, as is one to another folder inside. The folder may be a link
// itself.
func ReadDir(dir string, opts ast.ParserOptions) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read policy folder: %w", err)
	}
	defer root.Close()
	b, err := Read(root.FS(), opts)
	if err != nil {
		return nil, fmt.Errorf("read policy folder %s: %w", dir, err)
	}
	return b, nil
}

// Read returns the bundle in a file system: *.rego, data.json and data.yaml in
// all folders. Other files are not read, nor is anything whose name begins with
// a dot. All mistakes are reported together, each as file:line where there is a
// line.
func Read(fsys fs.FS, opts ast.ParserOptions) (*Bundle, error) {
	r := reader{fsys: fsys, opts: opts, bundle: Bundle{
		Files: make(map[string]string), Modules: make(map[string]*ast.Module),
		Tests: make(map[string]*ast.Module), Data: make(map[string]map[string]any),
	}}
	if err := fs.WalkDir(fsys, ".", r.visit); err != nil {
		return nil, err
	}
	if len(r.mistakes) > 0 {
		return nil, errors.Join(r.mistakes...)
	}
	return &r.bundle, nil
}

// A reader gathers a bundle and the mistakes in it.
type reader struct {
	fsys     fs.FS
	opts     ast.ParserOptions
	bundle   Bundle
	files    int
	size     int64
	mistakes []error
}

func (r *reader) visit(name string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case name == ".":
		return nil
	case strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
		return fs.SkipDir
	case strings.HasPrefix(entry.Name(), ".") || entry.IsDir():
		return nil
	}
	// A folder behind a link is not walked into. It may hold denials, so that it
	// is not passed over either.
	target, err := fs.Stat(r.fsys, name)
	switch {
	case err != nil:
		r.mistake("%s: cannot be followed inside the folder: %w", name, err)
		return nil
	case target.IsDir():
		r.mistake("%s: a link to a folder", name)
		return nil
	}
	var take func(name, content string)
	switch base := entry.Name(); {
	case strings.HasSuffix(base, ".rego"):
		take = r.module
	case base == "data.json", base == "data.yaml", base == "data.yml":
		take = r.data
	default:
		return nil
	}
	if !target.Mode().IsRegular() {
		r.mistake("%s: no regular file", name)
		return nil
	}
	return r.read(name, take)
}

// read hands the content of a file to take. The limits on the folder as a whole
// end the walk.
func (r *reader) read(name string, take func(name, content string)) error {
	f, err := r.fsys.Open(name)
	if err != nil {
		r.mistake("%s: %w", name, err)
		return nil
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		r.mistake("%s: %w", name, err)
		return nil
	}
	if len(content) > maxFileSize {
		r.mistake("%s: more than %d MiB", name, maxFileSize>>20)
		return nil
	}
	r.files++
	r.size += int64(len(content))
	if r.files > maxFiles || r.size > maxSize {
		return fmt.Errorf("more than %d files or %d MiB", maxFiles, maxSize>>20)
	}
	take(name, string(content))
	return nil
}

func (r *reader) module(name, content string) {
	if err := tooDeep(name, content, r.opts); err != nil {
		r.mistakes = append(r.mistakes, err)
		return
	}
	module, err := ast.ParseModuleWithOpts(name, content, r.opts)
	if err != nil {
		r.mistakes = append(r.mistakes, parserErrors(name, err)...)
		return
	}
	if strings.HasSuffix(name, "_test.rego") {
		r.bundle.Tests[name] = module
		return
	}
	r.bundle.Files[name] = content
	r.bundle.Modules[name] = module
}

// tooDeep parses with a limit that ast.ParserOptions does not have.
func tooDeep(name, content string, opts ast.ParserOptions) error {
	_, _, errs := ast.NewParser().
		WithFilename(name).
		WithReader(strings.NewReader(content)).
		WithCapabilities(opts.Capabilities).
		WithRegoVersion(opts.RegoVersion).
		WithMaxRecursionDepth(maxDepth).
		Parse()
	for _, err := range errs {
		if err.Message == ast.ErrMaxParsingRecursionDepthExceeded.Error() {
			return fmt.Errorf("%s:%d: nested more than %d levels deep", name, err.Location.Row, maxDepth)
		}
	}
	return nil
}

func (r *reader) data(name, content string) {
	var doc map[string]any
	var err error
	line := 1
	if strings.HasSuffix(name, ".json") {
		err = util.UnmarshalJSON([]byte(content), &doc)
		line = jsonLine(content, err)
	} else if err = util.Unmarshal([]byte(content), &doc); err != nil {
		line = yamlLine(err)
	}
	if err == nil && doc == nil {
		err = errors.New("no object")
	}
	if err != nil {
		r.mistake("%s:%d: %w", name, line, err)
		return
	}
	r.bundle.Files[name] = content
	r.bundle.Data[name] = under(path.Dir(name), doc)
}

// under puts a document where its folder says.
func under(dir string, doc map[string]any) map[string]any {
	if dir == "." {
		return doc
	}
	parent, name := path.Split(dir)
	return under(path.Clean(parent+"."), map[string]any{name: doc})
}

func (r *reader) mistake(format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Errorf(format, args...))
}

// jsonLine is the line of a JSON document that an error is about.
func jsonLine(content string, err error) int {
	offset := 0
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = int(min(syntax.Offset, int64(len(content))))
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = int(min(wrong.Offset, int64(len(content))))
	}
	return 1 + bytes.Count([]byte(content)[:offset], []byte("\n"))
}

// yamlLine is the line that the text of a YAML error names: it has no field for
// it.
func yamlLine(err error) int {
	_, after, _ := strings.Cut(err.Error(), "line ")
	number, _, _ := strings.Cut(after, ":")
	line, err := strconv.Atoi(number)
	if err != nil {
		return 1
	}
	return line
}

func parserErrors(name string, err error) []error {
	list, ok := errors.AsType[ast.Errors](err)
	if !ok {
		// Such as that of an empty file: its text begins with the name.
		return []error{err}
	}
	errs := make([]error, len(list))
	for i, err := range list {
		errs[i] = fmt.Errorf("%s:%d: %s: %s", name, err.Location.Row, err.Code, err.Message)
	}
	return errs
}
