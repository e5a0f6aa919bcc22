package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"example.com/umpire/store/sqlite"
)

func backupCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the database to a new file (safe while the server runs)",
		Long: `Copy the database to a new file (safe while the server runs). The copy is consistent.
It does not contain the key-encryption key: back up that file separately.`,
		Example: "  umpire backup \"umpire-$(date +%F).db\"",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.backup(cmd.Context(), args[0]) },
	}
	e.outputFlag(cmd)
	return cmd
}

func (e *env) backup(ctx context.Context, to string) error {
	if e.databaseURL != "" {
		return invalid("backup copies an SQLite database: back a PostgreSQL database up with pg_dump, or with pg_basebackup and its archived log")
	}
	if err := e.needDatabase(); err != nil {
		return err
	}
	err := sqlite.Backup(ctx, e.database(), to)
	switch {
	case errors.Is(err, fs.ErrExist):
		return invalid("%s exists already: name a new file", to)
	case err != nil:
		return fmt.Errorf("back up %s: %w", e.database(), err)
	}
	info, err := os.Stat(to)
	if err != nil {
		return err
	}
	if e.asJSON() {
		return printJSON(e.stdout, map[string]any{"file": to, "bytes": info.Size()})
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %d bytes, without the key-encryption key\n", to, info.Size())
	return err
}
