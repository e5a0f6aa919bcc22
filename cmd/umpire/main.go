// Umpire is a UMA 2.0 authorization server whose every decision is made by Rego.
//
// `umpire serve --realm FILE` serves; `umpire demo` shows how; `umpire help` lists
// the rest.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/umpire/node"
	"example.com/umpire/store"
	"example.com/umpire/uma"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without process globals, for tests.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	stdout, stderr = &terminal{stdout}, &terminal{stderr}
	root := newRoot(&env{stdout: stdout, stderr: stderr, getenv: getenv, now: time.Now})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return report(stderr, cmd, err)
}

// env is a command's access to its surroundings, and the flags that commands share.
type env struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time

	data, databaseURL, replicaURL, keyFile, output, logLevel string

	policyMemory              int64 // MiB
	policyTime                time.Duration
	server, tokenFile, caFile string // of the commands that can use a server's admin API
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "umpire",
		Short: "A UMA 2.0 authorization server whose every decision is made by Rego",
		Long: `A UMA 2.0 authorization server whose every decision is made by Rego.

Every flag can be set by an environment variable: --public-url by
UMPIRE_PUBLIC_URL. Exit codes: 0 success, 1 failure, 2 invalid command line or
environment, 3 a check or test did not pass.`,
		Version: version, SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return e.fromEnvironment(cmd) },
	}
	f := root.PersistentFlags()
	f.StringVar(&e.data, "data", "data", "`folder` of the database and the key-encryption key")
	f.StringVar(&e.databaseURL, "database", "", "`URL` of a PostgreSQL database, such as postgres://umpire@db.example.com/umpire (default: SQLite in the data folder); give one with a password in UMPIRE_DATABASE")
	f.StringVar(&e.replicaURL, "database-replica", "", "`URL` of a hot standby of --database, which serve and commands that list read from; give one with a password in UMPIRE_DATABASE_REPLICA")
	f.StringVar(&e.keyFile, "key-file", "", "`file` of the key-encryption key (default: umpire.key in the data folder)")
	f.StringVar(&e.logLevel, "log-level", "info", "debug, info, warn or error")
	f.Int64Var(&e.policyMemory, "policy-memory", 512, "most `MiB` of memory that tests of a policy, or compiling a bundle from the network, may use")
	f.DurationVar(&e.policyTime, "policy-time", time.Minute, "most `time` that tests of a policy, or compiling a bundle from the network, may take")
	root.SetFlagErrorFunc(flagMistake)
	root.SetUsageTemplate(strings.NewReplacer( // a command group cannot be run without a subcommand
		"{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}", "[command]", "COMMAND").Replace(root.UsageTemplate()))
	root.SetVersionTemplate(newBuild().String() + "\n")
	root.AddCommand(serveCommand(e), realmCommand(e), keysCommand(e), issuerCommand(e), partyCommand(e), policyCommand(e), decisionsCommand(e), sharesCommand(e), adminCommand(e), demoCommand(e), backupCommand(e), storeCommand(e), versionCommand(e), examineCommand())
	checkArguments(root)
	checkHelp(root)
	return root
}

// checkHelp makes `umpire help WORD` a usage error if there is no such command.
func checkHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"})
	help.Args = func(_ *cobra.Command, words []string) error {
		if cmd, rest, _ := root.Find(words); len(rest) > 0 {
			return argumentMistake(cmd, rest)
		}
		return nil
	}
}

// checkArguments makes invalid arguments of a command and its subcommands usage errors. A
// command group prints its help; its only arguments are the names of its subcommands.
func checkArguments(cmd *cobra.Command) {
	check := cmd.Args
	if !cmd.Runnable() {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) != nil {
			return argumentMistake(cmd, args)
		}
		return nil
	}
	for _, sub := range cmd.Commands() {
		checkArguments(sub)
	}
}

// fromEnvironment sets the flags that were not given from the variables UMPIRE_*.
func (e *env) fromEnvironment(cmd *cobra.Command) error {
	var errs []error
	flags := cmd.Flags()
	local := false // whoever names a database does not mean the server of the environment
	for _, name := range []string{"data", "database", "database-replica"} {
		if flags.Changed("server") && flags.Changed(name) {
			return usageError("--%s and --server name two places: give one of them", name)
		}
		local = local || flags.Changed(name)
	}
	if flags.Changed("database") && e.databaseURL == "" {
		return usageError("--database is empty: leave it out for SQLite in the data folder")
	}
	if flags.Changed("database-replica") && e.replicaURL == "" {
		return usageError("--database-replica is empty: leave it out without a replica")
	}
	flags.VisitAll(func(f *pflag.Flag) {
		if local && (f.Name == "server" || f.Name == "token-file") {
			return
		}
		if f.Name == "realm" && cmd.Name() != "serve" {
			return // UMPIRE_REALM has the files of serve; the --realm of other commands is a name
		}
		name := variable(f.Name)
		if v := e.getenv(name); v != "" && !f.Changed {
			if err := flags.Set(f.Name, v); err != nil {
				errs = append(errs, invalid("%s: %w", name, err))
			}
		}
	})
	if e.databaseURL != "" {
		if err := store.CheckURL(e.databaseURL); err != nil {
			errs = append(errs, invalid("--database: %w", err))
		}
		if !flags.Changed("data") {
			e.data = "" // the folder of SQLite, which is not used
		}
	}
	errs = append(errs, e.checkReplica())
	if e.policyMemory < leastPolicyMemory || e.policyMemory > mostPolicyMemory {
		errs = append(errs, invalid("--policy-memory: want %d to %d MiB", leastPolicyMemory, mostPolicyMemory))
	}
	if e.policyTime <= 0 {
		errs = append(errs, invalid("--policy-time: want a time such as 1m"))
	}
	return errors.Join(errs...)
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "UMPIRE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// checkReplica refuses what is no URL of a replica, and a replica without a database.
func (e *env) checkReplica() error {
	if e.replicaURL == "" {
		return nil
	}
	if e.databaseURL == "" {
		return invalid("--database-replica is given without --database: only a PostgreSQL database has replicas")
	}
	if err := store.CheckURL(e.replicaURL); err != nil {
		return invalid("--database-replica: %w", err)
	}
	return nil
}

// The process that runs tests needs about 40 MiB itself.
const leastPolicyMemory, mostPolicyMemory = 64, 1 << 20

// logger returns the log, which goes to stderr because stdout may be the decision log.
func (e *env) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(e.logLevel)); err != nil {
		return nil, invalid("--log-level: want debug, info, warn or error, not %q", e.logLevel)
	}
	return slog.New(slog.NewJSONHandler(e.stderr, &slog.HandlerOptions{Level: level})), nil
}

// database returns the path of the SQLite database.
func (e *env) database() string { return filepath.Join(e.data, "umpire.db") }

// storeConfig names the database, which exists.
func (e *env) storeConfig(readOnly bool) store.Config {
	return store.Config{Database: e.databaseURL, Existing: true, Path: e.database(), ReadOnly: readOnly, Now: e.now}
}

// open opens the database and its keys for a command that writes, and creates them if they do
// not exist. A server may run meanwhile.
func (e *env) open(ctx context.Context) (*node.Node, error) { return e.openNode(ctx, false) }

// openExisting is open for a command that needs what others have written.
func (e *env) openExisting(ctx context.Context) (*node.Node, error) {
	if err := e.needDatabase(); err != nil {
		return nil, err
	}
	return e.openNode(ctx, true)
}

func (e *env) openNode(ctx context.Context, existing bool) (*node.Node, error) {
	log, err := e.logger()
	if err != nil {
		return nil, err
	}
	key, err := e.key()
	if err != nil {
		return nil, err
	}
	return node.Open(ctx, node.Config{
		Data: e.data, Database: e.databaseURL, Existing: existing, KeyFile: e.keyFile, Key: key,
		Examine: e.examiner(), Log: log, Now: e.now, Version: version,
	})
}

// key returns the key-encryption key if the environment has it. There is no flag for it:
// every user of the machine can see the arguments of a process.
func (e *env) key() (string, error) {
	key := e.getenv("UMPIRE_KEY")
	if key != "" && e.keyFile != "" {
		return "", invalid("UMPIRE_KEY and --key-file are both given: give one of them")
	}
	return key, nil
}

// needDatabase returns an error that says how to create the SQLite database if it does not exist.
// Whether there is another is said when it is opened.
func (e *env) needDatabase() error {
	if e.databaseURL != "" {
		return nil
	}
	if _, err := os.Stat(e.database()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database %s: name its folder with --data, or create it with `umpire realm apply FILE`", e.database())
	}
	return nil
}

// withDatabase calls f with the database, opened for reading only.
func (e *env) withDatabase(ctx context.Context, f func(uma.Store) error) error {
	return e.withStore(ctx, e.storeConfig(true), func(db store.Store) error { return f(db) })
}

// withLists is withDatabase for a command that lists or searches: what may be read from the replica is.
func (e *env) withLists(ctx context.Context, f func(uma.Store) error) error {
	cfg := e.storeConfig(true)
	cfg.Replica = e.replicaURL
	return e.withStore(ctx, cfg, func(db store.Store) error {
		if r, ok := db.(interface {
			Replica() (store.ReplicaState, bool)
		}); ok {
			if s, named := r.Replica(); named && !s.Used {
				fmt.Fprintf(e.stderr, "umpire: the replica is not used: %s: reading from --database\n", s.Problem)
			}
		}
		return f(store.Lists(db))
	})
}

func (e *env) withStore(ctx context.Context, cfg store.Config, f func(store.Store) error) error {
	if err := e.needDatabase(); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// outputFlag adds --output to a command: table, json and any others.
func (e *env) outputFlag(cmd *cobra.Command, others ...string) {
	formats := append([]string{"table", "json"}, others...)
	last := len(formats) - 1
	list := strings.Join(formats[:last], ", ") + " or " + formats[last]
	cmd.Flags().StringVarP(&e.output, "output", "o", "table", list)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if !slices.Contains(formats, e.output) {
			return invalid("--output: want %s, not %q", list, e.output)
		}
		return nil
	}
}

// asJSON reports whether the command prints JSON.
func (e *env) asJSON() bool { return e.output == "json" }
