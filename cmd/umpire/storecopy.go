package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/umpire/store"
	"example.com/umpire/store/copier"
)

func storeCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Copy a database to another", Args: cobra.NoArgs}
	var c storeCopy
	all := &cobra.Command{
		Use:   "copy --from FOLDER|URL --to FOLDER|URL",
		Short: "Copy a whole database between SQLite and PostgreSQL (stop the servers first)",
		Long: `Copy a whole database from SQLite to PostgreSQL, from PostgreSQL to SQLite, or to another
of the same kind. A folder is the data folder of an SQLite database. Stop the servers of
both first. The target must be new or empty. At the end all rows of both are compared.

A copy that was interrupted goes on when the same command is run again. Servers do not
start on the target until it is complete. The key-encryption key is not copied: servers of
the copy need the same one.

Give a URL with a password in UMPIRE_FROM or UMPIRE_TO.`,
		Example: `  umpire store copy --from data --to postgres://umpire@db.example.com/umpire
  umpire store copy --from postgres://umpire@db.example.com/umpire --to copy -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, name := range []string{"data", "database", "database-replica"} {
				if cmd.Flags().Changed(name) && e.getenv(variable(name)) == "" {
					return usageError("--%s is not used: name the databases with --from and --to", name)
				}
			}
			return c.run(cmd.Context(), e)
		},
	}
	f := all.Flags()
	f.StringVar(&c.from, "from", "", "data `folder` of an SQLite database, or URL of a PostgreSQL database, to copy")
	f.StringVar(&c.to, "to", "", "data `folder` or URL to copy it to")
	f.BoolVar(&c.check, "check", false, "copy nothing: only compare the rows of both")
	e.outputFlag(all)
	cmd.AddCommand(all)
	return cmd
}

// A storeCopy is the flags of store copy.
type storeCopy struct {
	from, to string
	check    bool
}

// A copiedTable is a table that is equal in both databases.
type copiedTable struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
}

// A copyReport is the output of store copy.
type copyReport struct {
	From       string        `json:"from"`
	To         string        `json:"to"`
	Equal      bool          `json:"equal"`
	Difference string        `json:"difference,omitempty"`
	Resumed    bool          `json:"resumed"`
	Rows       int64         `json:"rows"`
	Tables     []copiedTable `json:"tables"`
}

func (c *storeCopy) run(ctx context.Context, e *env) error {
	from, err := placeOf("from", c.from)
	if err != nil {
		return err
	}
	to, err := placeOf("to", c.to)
	if err != nil {
		return err
	}
	if _, err := os.Stat(from.Path); from.Database == "" && errors.Is(err, fs.ErrNotExist) {
		return invalid("--from: there is no database %s", from.Path)
	}
	done, err := c.copy(ctx, e, from, to)
	different, differs := errors.AsType[*copier.Difference](err)
	if err != nil && !differs {
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted: run the same command again to go on: %w", err)
		}
		return err
	}
	report := copyReport{From: from.Shown(), To: to.Shown(), Equal: !differs, Resumed: done.Resumed, Rows: done.Rows(), Tables: []copiedTable{}}
	for _, t := range done.Tables {
		report.Tables = append(report.Tables, copiedTable{t.Name, t.Rows, hex.EncodeToString(t.SHA256[:])})
	}
	if differs {
		report.Difference = different.Error()
		return errors.Join(c.print(e, &report), errNotPassed)
	}
	return c.print(e, &report)
}

// placeOf reads a flag that names a database.
func placeOf(flag, value string) (store.Place, error) {
	switch {
	case value == "":
		return store.Place{}, usageError("--%s is missing", flag)
	case !strings.Contains(value, "://"):
		return store.Place{Path: filepath.Join(value, "umpire.db")}, nil
	}
	if err := store.CheckURL(value); err != nil {
		return store.Place{}, invalid("--%s: %w", flag, err)
	}
	return store.Place{Database: value}, nil
}

// copy copies, or only compares.
func (c *storeCopy) copy(ctx context.Context, e *env, from, to store.Place) (report *copier.Report, err error) {
	source, err := from.OpenSource(ctx, e.now())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if c.check {
		other, err := to.OpenSource(ctx, e.now())
		if err != nil {
			return nil, err
		}
		tables, err := copier.Compare(ctx, source, other, e.tellStep())
		return &copier.Report{Tables: tables}, errors.Join(err, other.Close())
	}
	target, err := to.OpenTarget(ctx, e.now())
	if err != nil {
		return nil, err
	}
	report, err = copier.Copy(ctx, source, target, e.tellStep())
	return report, errors.Join(err, target.Close())
}

// tellStep returns what writes to stderr how far a copy has come, once a second.
func (e *env) tellStep() func(copier.Step) {
	told := e.now()
	return func(s copier.Step) {
		if now := e.now(); now.Sub(told) >= time.Second {
			told = now
			fmt.Fprintf(e.stderr, "%s: %d of %d rows %s\n", s.Table, s.Rows, s.Of, s.Verb)
		}
	}
}

func (c *storeCopy) print(e *env, r *copyReport) error {
	if e.asJSON() {
		return printJSON(e.stdout, r)
	}
	if !r.Equal {
		text := r.Difference + "\n"
		if !c.check {
			text += "The copy is not complete, and servers refuse it: remove it, and copy again while nobody changes the source.\n"
		}
		_, err := fmt.Fprint(e.stdout, text)
		return err
	}
	var rows [][]string
	for _, t := range r.Tables {
		if t.Rows > 0 {
			rows = append(rows, []string{t.Table, strconv.FormatInt(t.Rows, 10), t.SHA256[:16] + "…"})
		}
	}
	if err := printTable(e.stdout, []string{"TABLE", "ROWS", "SHA-256"}, rows); err != nil {
		return err
	}
	if c.check {
		_, err := fmt.Fprintf(e.stdout, "\n%s and %s have the same %d rows\n", r.From, r.To, r.Rows)
		return err
	}
	_, err := fmt.Fprintf(e.stdout, "\n%d rows of %s are in %s, and were compared.\nThe key-encryption key was not copied: %s.\n", r.Rows, r.From, r.To, c.keyAdvice())
	return err
}

// keyAdvice says which key the servers of a copy need.
func (c *storeCopy) keyAdvice() string {
	key := "the key file of the source"
	if file := filepath.Join(c.from, "umpire.key"); !strings.Contains(c.from, "://") {
		if _, err := os.Stat(file); err == nil {
			key = file
		}
	}
	if strings.Contains(c.to, "://") {
		return "start the servers of the copy with --key-file " + key + ", or with the same UMPIRE_KEY"
	}
	return "put " + key + " into the folder as " + filepath.Join(c.to, "umpire.key") + ", or start the server with the same UMPIRE_KEY"
}
