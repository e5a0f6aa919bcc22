package sinks

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"time"

	"example.com/umpire/uma"
)

// Lines writes records as lines in the format of OPA's console decision logs.
type Lines struct {
	w    io.Writer
	torn bool         // it ends with an incomplete line
	text bytes.Buffer // of the last delivery, to be used again
}

// A syncer makes what was written durable.
type syncer interface{ Sync() error }

// NewLines returns a destination that writes to w. If w has a method Sync() error, records
// are durable only after it.
func NewLines(w io.Writer) Destination {
	if s, ok := w.(syncer); ok {
		return &durableLines{Lines{w: w}, s}
	}
	return &Lines{w: w}
}

type durableLines struct {
	Lines
	syncer
}

// Deliver implements Destination. If the disk is full or a reader ends, only a part is
// written. An incomplete line stays, and its record is written again on a new line.
func (l *Lines) Deliver(_ context.Context, records []uma.Record) (done, skipped int, err error) {
	l.text.Reset()
	if l.torn {
		l.text.WriteByte('\n')
	}
	writeLines(&l.text, records)
	text := l.text.Bytes()
	if cap(text) > maxKeptText {
		l.text = bytes.Buffer{}
	}
	n, err := l.w.Write(text)
	if n < len(text) && err == nil {
		err = io.ErrShortWrite
	}
	if n <= 0 {
		return 0, 0, err
	}
	done = bytes.Count(text[:n], []byte{'\n'})
	if l.torn {
		done--
	}
	l.torn = text[n-1] != '\n'
	return max(done, 0), 0, err
}

// maxKeptText is how many bytes are kept to be used again.
const maxKeptText = 1 << 20

// writeLines formats records: the event, preceded by the members of a log line.
func writeLines(b *bytes.Buffer, records []uma.Record) {
	const around = 128 // the other members of a line
	size := 0
	for i := range records {
		size += len(records[i].Event) + around
	}
	b.Grow(size)
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
}
