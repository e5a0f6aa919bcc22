package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"example.com/umpire/uma"
)

// page is how many records the log reads at a time.
const page = 256

// A recordLog writes each decision record that is committed as a line of its own, in
// the format of OPA's console decision logs. A slow or failing log delays no request:
// missing records are in the store, and are written when the log can be written again.
type recordLog struct {
	*Node
	w     io.Writer
	after int64  // Seq of the last record that was written whole
	torn  bool   // the log ends in half a line
	cause string // of the failure that was logged last; empty while the log can be written
}

// follow writes committed records until ctx ends, and then those that were committed by
// then.
func (l *recordLog) follow(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		ending := ctx.Err() != nil
		l.report(ctx, l.writeNew(context.WithoutCancel(ctx)))
		if ending {
			return
		}
		select {
		case <-ctx.Done():
		case <-l.committed:
		case <-tick.C:
		}
	}
}

// report logs a failure once, however often the write is tried again.
func (l *recordLog) report(ctx context.Context, err error) {
	switch {
	case err == nil && l.cause != "":
		l.cause = ""
		l.Log.InfoContext(ctx, "decision log: can be written again")
	case err != nil:
		l.metrics.DecisionLogFailed()
		if err.Error() != l.cause {
			l.cause = err.Error()
			l.Log.ErrorContext(ctx, "decision log: cannot be written; its records wait in the database", "err", err)
		}
	}
}

// writeNew writes the records that the log lacks.
func (l *recordLog) writeNew(ctx context.Context) error {
	for {
		records, err := l.Store.DecisionsAfter(ctx, l.after, page)
		if err != nil {
			return fmt.Errorf("read decision records: %w", err)
		}
		if len(records) == 0 {
			return nil
		}
		if err := l.write(records); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if len(records) < page {
			return nil
		}
	}
}

// write writes records and notes the last whole one: a full disk, or a reader that
// ends, may take only a part. A line that was cut short stays, and its record is
// written again, whole, on a new line.
func (l *recordLog) write(records []uma.Record) error {
	text := lines(records)
	if l.torn {
		text = append([]byte{'\n'}, text...)
	}
	n, err := l.w.Write(text)
	if n < len(text) && err == nil {
		err = io.ErrShortWrite
	}
	if n <= 0 {
		return err
	}
	whole := bytes.Count(text[:n], []byte{'\n'})
	if l.torn {
		whole--
	}
	if whole > 0 {
		l.after = records[whole-1].Seq
	}
	l.torn = text[n-1] != '\n'
	return err
}

// lines are records in the format of OPA's console decision logs: the event
// with the members of a log line beside its own.
func lines(records []uma.Record) []byte {
	var b bytes.Buffer
	for i := range records {
		r := &records[i]
		b.WriteString(`{"level":"info","msg":"Decision Log","time":"`)
		b.WriteString(r.Time.UTC().Format(time.RFC3339))
		b.WriteString(`","type":"openpolicyagent.org/decision_logs","seq":`)
		b.WriteString(strconv.FormatInt(r.Seq, 10))
		b.WriteByte(',')
		b.Write(bytes.TrimPrefix(r.Event, []byte("{")))
		b.WriteByte('\n')
	}
	return b.Bytes()
}
