package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/umpire/realm"
)

// Exit codes.
const (
	exitFailed  = 1 // something went wrong
	exitUsage   = 2 // the command line or the environment is mistaken
	exitRefused = 3 // what was to be checked did not pass
)

// errRefused is the outcome of a check that did not pass. What is wrong has been
// printed.
var errRefused = errors.New("not passed")

// A mistake is an error of the caller of the program: exit code 2.
type mistake struct {
	error
	usage bool // the command line is not one of the command: its usage is printed
}

func (m *mistake) Unwrap() error { return m.error }

// misused is an error in the form of a command line: an unknown flag, a missing
// argument.
func misused(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...), true} }

// mistaken is an error in the values of a well-formed command line or environment: a
// realm that does not exist, an invalid time.
func mistaken(format string, args ...any) error { return &mistake{fmt.Errorf(format, args...), false} }

// report prints why a command ended, and returns the exit code.
func report(stderr io.Writer, cmd *cobra.Command, err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errRefused):
		return exitRefused
	}
	between := " "
	if strings.Contains(err.Error(), "\n") { // each mistake begins a line, with the file that it is in
		between = "\n"
	}
	fmt.Fprintf(stderr, "umpire:%s%v\n", between, err)
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

// flagMistake names the flag that resembles an unknown one.
func flagMistake(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return misused("%w", err)
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return misused("%w%s", err, didYouMean("--", unknown.GetSpecifiedName(), names))
}

// argumentMistake names the argument that is missing or too many. For a command that
// a group does not have it names the one that was probably meant.
func argumentMistake(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0: // the first word after the name says what a command takes
		return misused("%s is missing", strings.TrimSuffix(strings.Fields(cmd.Use)[1], "..."))
	case !cmd.HasSubCommands():
		return misused("%s does not take the argument %q", cmd.CommandPath(), args[len(args)-1])
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return misused("%s has no command %q%s", cmd.CommandPath(), args[0], didYouMean("", args[0], names))
}

// didYouMean ends a sentence about an unknown word with the name that it resembles, if
// there is one.
func didYouMean(prefix, word string, names []string) string {
	name := realm.Nearest(word, names)
	if name == "" {
		return ""
	}
	return ": did you mean " + prefix + name + "?"
}
