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
		Short: "Copy the database to a new file, beside a running server too",
		Long: `Copy the database to a new file, whole and consistent, beside a running server
too. The key-encryption key is not in it: it is kept apart.`,
		Example: "  umpire backup \"umpire-$(date +%F).db\"",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return e.backup(cmd.Context(), args[0]) },
	}
	e.outputFlag(cmd)
	return cmd
}

func (e *env) backup(ctx context.Context, to string) error {
	if err := e.needDatabase(); err != nil {
		return err
	}
	err := sqlite.Backup(ctx, e.database(), to)
	switch {
	case errors.Is(err, fs.ErrExist):
		return mistaken("%s is there already: name a new file", to)
	case err != nil:
		return fmt.Errorf("backup: %w", err)
	}
	info, err := os.Stat(to)
	if err != nil {
		return err
	}
	if e.asJSON() {
		return printJSON(e.stdout, map[string]any{"file": to, "bytes": info.Size()})
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %d bytes; the key-encryption key is not in it\n", to, info.Size())
	return err
}
