package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"example.com/umpire/place"
)

func mistake(loc *ast.Location, format string, args ...any) error {
	return &place.Mistake{File: loc.File, Line: loc.Row, Column: loc.Col, Text: fmt.Sprintf(format, args...)}
}

// located puts the path of the policy folder before the names of the realm's files in
// mistakes, also in their texts: that of a rule that is defined twice names another file.
func (src *Source) located(mistakes []error) []error {
	shown := func(file string) string {
		if strings.HasPrefix(file, libraryPrefix) {
			return file
		}
		return filepath.Join(src.Folder, filepath.FromSlash(file))
	}
	located := slices.Clone(mistakes)
	for i, err := range located {
		f, ok := errors.AsType[*place.Mistake](err)
		if !ok {
			continue
		}
		text := locatedFile.ReplaceAllStringFunc(f.Text, func(at string) string {
			file, line, _ := strings.Cut(at, ":")
			if src.Modules[file] == nil {
				return at
			}
			return shown(file) + ":" + line
		})
		located[i] = &place.Mistake{File: shown(f.File), Line: f.Line, Column: f.Column, Text: text}
		if IsUnavailable(err) {
			located[i] = &unavailableError{located[i]}
		}
	}
	return located
}

var locatedFile = regexp.MustCompile(`[^\s,:]+\.rego:\d+`)

// CompilerErrors returns the compiler's errors in OPA's layout: below a type error are the
// lines of the expression.
func CompilerErrors(list ast.Errors) []error {
	list = ownErrors(list)
	errs := make([]error, len(list))
	for i, err := range list {
		text, why := err.Code+": "+err.Message, unavailable(err)
		if why != "" {
			text = why
		} else if err.Details != nil {
			for _, line := range err.Details.Lines() {
				text += "\n\t" + line
			}
		}
		errs[i] = errors.New(text)
		if err.Location != nil {
			errs[i] = mistake(err.Location, "%s", text)
		}
		if why != "" {
			errs[i] = &unavailableError{errs[i]}
		}
	}
	return errs
}

// ownErrors leaves out those in generated modules, which follow from others.
func ownErrors(list ast.Errors) ast.Errors {
	own := slices.DeleteFunc(slices.Clone(list), func(err *ast.Error) bool {
		return err.Location != nil && strings.HasPrefix(err.Location.File, routedPrefix)
	})
	if len(own) == 0 {
		return list
	}
	return own
}

// unavailable is the reason why policies may not call a function of OPA, if the error says
// that it is undefined; "" for any other error.
func unavailable(err *ast.Error) string {
	name, ok := strings.CutPrefix(err.Message, "undefined function ")
	if !ok || err.Code != ast.TypeErr || !slices.ContainsFunc(ast.CapabilitiesForThisVersion().Builtins, func(b *ast.Builtin) bool { return b.Name == name }) {
		return ""
	}
	if readsOutside(name) {
		return name + notAvailable + "a decision depends on the input and the policy alone, so that a recorded decision can be repeated"
	}
	return name + notAvailable + "it cannot be interrupted when policy.timeout is over"
}

const notAvailable = " is not available in Umpire: "

// An unavailableError is a mistake about a function that policies may not call.
type unavailableError struct{ error }

func (e *unavailableError) Unwrap() error { return e.error }

// IsUnavailable reports whether a mistake is about a function that policies may not call.
func IsUnavailable(err error) bool {
	_, is := errors.AsType[*unavailableError](err)
	return is
}
