package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A fault is a mistake in a file of a source.
type fault struct {
	file string
	line int // 0 where it is not known
	text string
}

func (f *fault) Error() string {
	if f.line == 0 {
		return f.file + ": " + f.text
	}
	return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.text)
}

func mistake(loc *ast.Location, format string, args ...any) error {
	return &fault{loc.File, loc.Row, fmt.Sprintf(format, args...)}
}

// located gives the realm's files their paths, also files that a text mentions: a rule
// that is defined twice is in two files.
func (src *Source) located(mistakes []error) []error {
	shown := func(file string) string {
		if strings.HasPrefix(file, libraryPrefix) {
			return file
		}
		return filepath.Join(src.Folder, filepath.FromSlash(file))
	}
	located := slices.Clone(mistakes)
	for i, err := range located {
		f, ok := errors.AsType[*fault](err)
		if !ok {
			continue
		}
		text := place.ReplaceAllStringFunc(f.text, func(at string) string {
			file, line, _ := strings.Cut(at, ":")
			if src.Modules[file] == nil {
				return at
			}
			return shown(file) + ":" + line
		})
		located[i] = &fault{shown(f.file), f.line, text}
	}
	return located
}

var place = regexp.MustCompile(`[^\s,:]+\.rego:\d+`)

// CompilerErrors are the compiler's errors in OPA's own layout: an error of types shows
// the expression below it, line by line.
func CompilerErrors(list ast.Errors) []error {
	errs := make([]error, len(list))
	for i, err := range list {
		text := err.Code + ": " + err.Message
		if why := unavailable(err.Message); why != "" {
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
	}
	return errs
}

// unavailable is the reason why policies may not call the function of OPA that a
// message is about; "" for any other message.
func unavailable(message string) string {
	name, ok := strings.CutPrefix(message, "undefined function ")
	if !ok || !slices.ContainsFunc(ast.CapabilitiesForThisVersion().Builtins, func(b *ast.Builtin) bool { return b.Name == name }) {
		return ""
	}
	if reachesOut(name) {
		return name + " is not available in Umpire: a decision depends on the input and the policy alone, so that a recorded one can be made again"
	}
	return name + " is not available in Umpire: it cannot be interrupted when policy.timeout is over"
}
