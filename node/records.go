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

// writeRecords writes each decision record that is committed from now on as a
// line of its own, in the format of OPA's console decision logs, until ctx ends
// and what was committed by then is written. A slow
// reader of the log holds nothing up: what it has not read is in the store.
func (n *Node) writeRecords(ctx context.Context, w io.Writer, after int64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		ending := ctx.Err() != nil
		var err error
		if after, err = n.writeNew(context.WithoutCancel(ctx), w, after); err != nil {
			n.Log.ErrorContext(ctx, "decision log: the records are stored, and are written when it goes on", "err", err)
		}
		if ending {
			return
		}
		select {
		case <-ctx.Done():
		case <-n.committed:
		case <-tick.C:
		}
	}
}

// writeNew writes the records that follow after, and returns the last one written.
func (n *Node) writeNew(ctx context.Context, w io.Writer, after int64) (int64, error) {
	for {
		records, err := n.Store.DecisionsAfter(ctx, after, page)
		if err != nil {
			return after, fmt.Errorf("read decision records: %w", err)
		}
		if len(records) == 0 {
			return after, nil
		}
		if _, err := w.Write(lines(records)); err != nil {
			return after, fmt.Errorf("write: %w", err)
		}
		after = records[len(records)-1].Seq
		if len(records) < page {
			return after, nil
		}
	}
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
