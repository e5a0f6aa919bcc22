package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/umpire/nearest"
	"example.com/umpire/uma/admin"
)

// Exit codes.
const (
	exitFailed    = 1
	exitUsage     = 2 // invalid command line or environment
	exitNotPassed = 3 // a check or test did not pass
)

// errNotPassed is the error of a check or test that did not pass, after its mistakes were
// printed.
var errNotPassed = errors.New("not passed")

// A mistake is an error in the command line or environment: exit code 2.
type mistake struct {
	error
	usage bool // print how the command is used
}

func (m *mistake) Unwrap() error { return m.error }

// usageError returns an error in the form of the command line, such as an unknown flag or a
// missing argument.
func usageError(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...), true} }

// invalid returns an error in a value of a well-formed command line or environment, such as
// a realm that does not exist or an invalid time.
func invalid(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...), false} }

// report prints the error of a command and returns the exit code.
func report(stderr io.Writer, cmd *cobra.Command, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNotPassed):
		return exitNotPassed
	}
	between := " "
	if strings.Contains(err.Error(), "\n") { // each mistake is a line that begins with its file
		between = "\n"
	}
	fmt.Fprintf(stderr, "umpire:%s%v\n", between, err)
	if wrong, ok := errors.AsType[*admin.Error](err); ok && (wrong.Code == admin.InvalidRequest || wrong.Code == admin.NotFound) {
		return exitUsage
	}
	m, ok := errors.AsType[*mistake](err)
	if !ok {
		return exitFailed
	}
	if m.usage {
		usage := cmd.UseLine()
		if cmd.HasSubCommands() {
			usage = cmd.CommandPath() + " COMMAND"
		}
		fmt.Fprintf(stderr, "usage: %s\n`%s --help` says more\n", usage, cmd.CommandPath())
	}
	return exitUsage
}

// flagMistake adds to the error of an unknown flag the name of a flag that resembles it.
func flagMistake(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return usageError("%w", err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return usageError("%w%s", err, didYouMean("--", unknown.GetSpecifiedName(), names))
}

// argumentMistake names the argument that is missing, not allowed, or no subcommand of a
// command group.
func argumentMistake(cmd *cobra.Command, args []string) error {
	wanted := strings.Fields(cmd.Use)[1:] // the arguments, and then flags
	if i := slices.IndexFunc(wanted, func(word string) bool { return strings.HasPrefix(word, "-") }); i >= 0 {
		wanted = wanted[:i]
	}
	switch {
	case len(args) < len(wanted):
		return usageError("%s is missing", strings.TrimSuffix(wanted[len(args)], "..."))
	case !cmd.HasSubCommands():
		return usageError("%s does not take the argument %q", cmd.CommandPath(), args[len(args)-1])
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usageError("%s has no command %q%s", cmd.CommandPath(), args[0], didYouMean("", args[0], names))
}

// didYouMean returns the end of a sentence about an unknown word: the name that it resembles,
// or "".
func didYouMean(prefix, word string, names []string) string {
	name := nearest.Of(word, names)
	if name == "" {
		return ""
	}
	return ": did you mean " + prefix + name + "?"
}
