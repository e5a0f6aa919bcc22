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

// A recordLog writes committed decision records to the decision log, one per line, in the
// format of OPA's console decision logs. A slow or failing log does not delay requests:
// missing records are in the store, and are written when the log can be written again.
type recordLog struct {
	*Node
	w     io.Writer
	after int64  // Seq of the last record that was written completely
	torn  bool   // the log ends with an incomplete line
	cause string // the failure that was logged last; empty while the log can be written
}

// follow writes records as they are committed, until ctx ends and all committed records are
// written.
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

// report logs a failure once, not for every retry.
func (l *recordLog) report(ctx context.Context, err error) {
	switch {
	case err == nil && l.cause != "":
		l.cause = ""
		l.Log.InfoContext(ctx, "decision log: can be written again")
	case err != nil:
		l.metrics.DecisionLogFailed()
		if err.Error() != l.cause {
			l.cause = err.Error()
			l.Log.ErrorContext(ctx, "decision log: cannot be written; records are kept in the database and written later", "err", err)
		}
	}
}

// writeNew writes the records that the log does not have.
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
			return fmt.Errorf("write decision log: %w", err)
		}
		if len(records) < page {
			return nil
		}
	}
}

// write writes records and remembers the last complete one: if the disk is full or a reader
// ends, only a part is written. An incomplete line stays, and its record is written again on
// a new line.
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
	complete := bytes.Count(text[:n], []byte{'\n'})
	if l.torn {
		complete--
	}
	if complete > 0 {
		l.after = records[complete-1].Seq
	}
	l.torn = text[n-1] != '\n'
	return err
}

// lines formats records as OPA's console decision logs: the event, preceded by the members of
// a log line.
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
