package bundles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/place"
)

// A Bundle is the content of a policy folder or bundle file. Paths are relative to the
// folder, with slashes.
type Bundle struct {
	Files   map[string]string         // contents of modules and data files, without tests
	Modules map[string]*ast.Module    // *.rego, without tests
	Tests   map[string]*ast.Module    // *_test.rego
	Data    map[string]map[string]any // data.json and data.yaml, each under the root its folder gives it
	Unread  []string                  // other JSON and YAML files: a name may be misspelt

	TestFiles map[string]string // contents of tests
	Manifest  string            // content of .manifest at the top, which nothing else has; empty without one
}

// Options say how a folder or bundle file is read.
type Options struct {
	Parser ast.ParserOptions

	// Folder, or the path of the bundle file, is put before the paths of files in mistakes.
	// With Located it is in the locations of modules, too. That is for running tests only:
	// the record of a decision must not depend on where the server keeps its files.
	Folder  string
	Located bool

	// Keys are those that policies must be signed with, and Now is when; without Keys,
	// signatures are ignored. A signature that is refused is a *SignatureError.
	Keys *Keys
	Now  time.Time
}

// maxDepth limits the levels of the parser: a bracket has two, a call ten. The parser is
// recursive, and a stack overflow ends the process.
const maxDepth = 2000

const tooDeeply = "nested more than %d levels deep"

// ReadDir returns the bundle in a folder, which may be a link. Links in it are followed; a
// link that leads out of the folder is a mistake.
func ReadDir(dir string, o Options) (*Bundle, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read policy folder: %w", err)
	}
	defer root.Close()
	return Read(root.FS(), o)
}

// Read returns the bundle in a file system: *.rego, data.json and data.yaml in all folders,
// and the manifest. It reads no other files, and no files and folders whose names begin with a
// dot. It reports all mistakes together, each as file:line if it has a line.
func Read(fsys fs.FS, o Options) (*Bundle, error) {
	r := newReader(o)
	w := walk{fsys: fsys, signed: o.Keys != nil, file: r.read, folder: func(string) {}, other: r.unread, wrong: r.mistake}
	if err := w.dir(".", nil); err != nil {
		return nil, fmt.Errorf("read policy folder %s: %w", o.Folder, err)
	}
	if o.Keys != nil && len(r.mistakes) == 0 { // else files may be missing
		if err := r.verify(signFolder(o.Folder), hidden); err != nil {
			return nil, err
		}
	}
	r.parse()
	return r.result()
}

// Parse returns the bundle that Read returns for files with these contents.
func Parse(files map[string]string, o Options) (*Bundle, error) {
	r := newReader(o)
	r.contents = files
	r.parse()
	return r.result()
}

// A reader collects a bundle and the mistakes in it. The files are kept as they were read:
// their signature is verified before they are parsed.
type reader struct {
	Options
	contents map[string]string // of policies and data files
	about    map[string]string // .signatures.json and .manifest
	bundle   Bundle
	mistakes []error
}

func newReader(o Options) *reader {
	return &reader{Options: o, contents: make(map[string]string), about: make(map[string]string), bundle: Bundle{
		Files: make(map[string]string), Modules: make(map[string]*ast.Module),
		Tests: make(map[string]*ast.Module), Data: make(map[string]map[string]any), TestFiles: make(map[string]string),
	}}
}

func (r *reader) result() (*Bundle, error) {
	if len(r.mistakes) > 0 {
		return nil, errors.Join(r.mistakes...)
	}
	r.bundle.Manifest = r.about[ManifestName]
	return &r.bundle, nil
}

func (r *reader) read(name string, content io.Reader) error {
	text, err := io.ReadAll(content)
	switch {
	case err != nil:
		r.mistake(name, err)
	case len(text) <= maxFileSize: // walk reports larger ones
		r.keep(name, string(text))
	}
	return nil
}

func (r *reader) keep(name, content string) {
	if isAbout(name) {
		r.about[name] = content
		return
	}
	r.contents[name] = content
}

func (r *reader) unread(name string) {
	if resemblesData(name) {
		r.bundle.Unread = append(r.bundle.Unread, name)
	}
}

// parse parses the policies and data files.
func (r *reader) parse() {
	for _, name := range slices.Sorted(maps.Keys(r.contents)) {
		if isPolicy(name) {
			r.module(name, r.contents[name])
			continue
		}
		r.data(name, r.contents[name])
	}
}

func (r *reader) module(name, content string) {
	located := name
	if r.Located {
		located = r.shown(name)
	}
	if line := tooDeep(content, r.Parser); line > 0 {
		r.mistakes = append(r.mistakes, &place.Mistake{File: r.shown(name), Line: line, Text: fmt.Sprintf(tooDeeply, maxDepth)})
		return
	}
	module, err := ast.ParseModuleWithOpts(located, content, r.Parser)
	if err != nil {
		r.mistakes = append(r.mistakes, r.parserErrors(name, err)...)
		return
	}
	if isTest(name) {
		r.bundle.Tests[name], r.bundle.TestFiles[name] = module, content
		return
	}
	r.bundle.Files[name] = content
	r.bundle.Modules[name] = module
}

// tooDeep returns the line at which a module exceeds maxDepth, which is not one of
// ast.ParserOptions; 0 if it does not.
func tooDeep(content string, opts ast.ParserOptions) (line int) {
	_, _, errs := ast.NewParser().
		WithReader(strings.NewReader(content)).
		WithCapabilities(opts.Capabilities).
		WithRegoVersion(opts.RegoVersion).
		WithMaxRecursionDepth(maxDepth).
		Parse()
	for _, err := range errs {
		if err.Message == ast.ErrMaxParsingRecursionDepthExceeded.Error() {
			return err.Location.Row
		}
	}
	return 0
}

func (r *reader) data(name, content string) {
	doc, err := parseData(name, content)
	if err != nil {
		r.mistakes = append(r.mistakes, r.dataMistake(name, err))
		return
	}
	r.bundle.Files[name] = content
	r.bundle.Data[name] = under(path.Dir(name), doc)
}

// dataMistake is a mistake that parseData found, with its line.
func (r *reader) dataMistake(name string, err error) error {
	line := 1
	if e, ok := errors.AsType[*dataError](err); ok {
		line = e.line
	}
	return &place.Mistake{File: r.shown(name), Line: line, Text: err.Error()}
}

// under returns data in which a document is at the path of its folder.
func under(dir string, doc map[string]any) map[string]any {
	if dir == "." {
		return doc
	}
	parent, name := path.Split(dir)
	return under(path.Clean(parent+"."), map[string]any{name: doc})
}

func (r *reader) mistake(name string, err error) {
	r.mistakes = append(r.mistakes, &place.Mistake{File: r.shown(name), Text: err.Error()})
}

// shown is the path of a file in mistakes.
func (r *reader) shown(name string) string { return filepath.Join(r.Folder, filepath.FromSlash(name)) }

// parserErrors returns OPA's errors, in OPA's layout, with the path of the folder.
func (r *reader) parserErrors(name string, err error) []error {
	list, ok := errors.AsType[ast.Errors](err)
	if one, single := errors.AsType[*ast.Error](err); single { // such as that of an empty file
		list, ok = ast.Errors{one}, true
	}
	if !ok {
		return []error{&place.Mistake{File: r.shown(name), Text: err.Error()}}
	}
	errs := make([]error, len(list))
	for i, each := range list {
		at, text := ast.Location{Row: 1}, each.Code+": "+each.Message
		if each.Location != nil {
			at = *each.Location
		}
		if each.Details != nil {
			for _, line := range each.Details.Lines() {
				text += "\n\t" + line
			}
		}
		errs[i] = &place.Mistake{File: r.shown(name), Line: max(at.Row, 1), Column: at.Col, Text: text}
	}
	return errs
}
