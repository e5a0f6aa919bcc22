package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxLine is how many bytes a line of an export may have; a record has at most 64 KiB.
const maxLine = 1 << 20

// Lines are the events of a file with one event per line, as `umpire decisions export` writes
// it.
type Lines struct {
	name string
	in   *bufio.Reader
	line int
	head [][]byte // read by First
}

// NewLines reads events. Errors have the name and the line.
func NewLines(name string, in io.Reader) *Lines {
	return &Lines{name: name, in: bufio.NewReaderSize(in, 64<<10)}
}

// First returns the first decision of a realm, or io.EOF. Each begins with the same event.
func (l *Lines) First(realm string) (*Decision, error) {
	for {
		event, err := l.next()
		if err != nil {
			return nil, err
		}
		d, err := Read(event)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", l.name, l.line, err)
		}
		if d.Realm == realm {
			l.head = append(l.head, event)
			return d, nil
		}
	}
}

// Find returns the decision with an id, or io.EOF.
func (l *Lines) Find(ctx context.Context, id string) (found *Decision, err error) {
	err = l.Each(ctx, func(event []byte) error {
		if !bytes.Contains(event, []byte(id)) { // most events need not be decoded
			return nil
		}
		d, err := Read(event)
		switch {
		case err != nil:
			return fmt.Errorf("%s:%d: %w", l.name, l.line, err)
		case d.ID == id:
			found = d
			return io.EOF
		}
		return nil
	})
	if err == nil {
		err = io.EOF
	}
	if found != nil {
		err = nil
	}
	return found, err
}

// Each calls each with the events, up to its first error.
func (l *Lines) Each(ctx context.Context, each func(event []byte) error) error {
	for _, event := range l.head {
		if err := each(event); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		event, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = each(event)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// next returns the next line that is not empty, or io.EOF.
func (l *Lines) next() ([]byte, error) {
	for {
		var line []byte
		for {
			part, err := l.in.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > maxLine {
				return nil, fmt.Errorf("%s:%d: the line is longer than any decision log event", l.name, l.line+1)
			}
			if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
				break
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, err
			}
		}
		l.line++
		if line = bytes.TrimSpace(line); len(line) > 0 {
			return line, nil
		}
	}
}
