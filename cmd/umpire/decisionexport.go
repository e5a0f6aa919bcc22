package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"example.com/umpire/adminapi"
	"example.com/umpire/uma"
)

func exportCommand(e *env) *cobra.Command {
	var f decisionFlags
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export decision records as OPA events, oldest first (safe while the server runs)",
		Long: `Export decision records as OPA decision log events, one JSON object per line, oldest
first, to stdout or to a new file. Records are read page by page: any number can be
exported.`,
		Example: `  umpire decisions export --until 90d --file old.jsonl
  umpire decisions export --user bob --since 2026-11-01 | jq -r .decision_id`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(e, cmd); err != nil {
				return err
			}
			return e.withLists(cmd.Context(), func(db uma.Store) error {
				return e.exportDecisions(cmd.Context(), db, &f, file)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&file, "file", "", "`file` to create and write to, instead of stdout")
	return cmd
}

func (e *env) exportDecisions(ctx context.Context, db adminapi.Store, flags *decisionFlags, file string) error {
	f, err := e.local(db).Filter(ctx, flags.query())
	if err != nil {
		return err
	}
	if file == "" {
		_, err = writeEvents(ctx, db, f, e.stdout)
		return err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return invalid("--file: %s exists already: name a new file", file)
	}
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	n, err := writeEvents(ctx, db, f, out)
	if err == nil {
		err = out.Sync() // the records may be deleted next
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("export to %s: the incomplete file is deleted: %w", file, err), os.Remove(file))
	}
	_, err = fmt.Fprintf(e.stderr, "%d decision records exported to %s\n", n, file)
	return err
}

// writeEvents writes the events of the records that match, one per line, and returns their
// number.
func writeEvents(ctx context.Context, db uma.Decisions, f uma.DecisionFilter, w io.Writer) (n int, err error) {
	buffer := bufio.NewWriterSize(w, 64<<10)
	err = db.EachDecision(ctx, f, func(r *uma.Record) error {
		n++
		_, _ = buffer.Write(r.Event) // WriteByte returns its error
		return buffer.WriteByte('\n')
	})
	return n, errors.Join(err, buffer.Flush())
}
