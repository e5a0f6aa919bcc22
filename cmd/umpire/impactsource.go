package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"example.com/umpire/rollout"
	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// maxEvent is how long a line of an export may be; a record has at most 64 KiB.
const maxEvent = 1 << 20

// events returns the decisions to replay and, of a file, the path of the entry point that its
// first event of the realm names.
func (f *impactFlags) events(ctx context.Context, db *sqlite.Store) (events audit.Events, path string, err error) {
	if f.file == "" {
		return func(ctx context.Context, each func([]byte) error) error {
			return db.EachDecision(ctx, uma.DecisionFilter{Realm: f.realm, Since: f.from}, func(r *uma.Record) error { return each(r.Event) })
		}, "", nil
	}
	in := os.Stdin
	if f.file != "-" {
		if in, err = os.Open(f.file); err != nil {
			return nil, "", invalid("--file: %w", err)
		}
	}
	lines := &eventLines{name: f.file, in: bufio.NewReaderSize(in, 64<<10)}
	var head [][]byte // the events up to the first of the realm
	for {
		event, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil, "", errors.Join(invalid("--file: %s has no decision of realm %s", f.file, f.realm), in.Close())
		}
		if err != nil {
			return nil, "", errors.Join(err, in.Close())
		}
		d, err := audit.Read(event)
		if err != nil {
			return nil, "", errors.Join(lines.wrong(err), in.Close())
		}
		if d.Realm == f.realm {
			head, path = append(head, event), d.Path
			break
		}
	}
	return func(ctx context.Context, each func([]byte) error) error {
		return errors.Join(lines.each(ctx, head, each), in.Close())
	}, path, nil
}

// eventLines reads a file of one event per line.
type eventLines struct {
	name string
	in   *bufio.Reader
	line int
}

// each passes the events of head, then those of the rest of the file.
func (l *eventLines) each(ctx context.Context, head [][]byte, each func([]byte) error) error {
	for _, event := range head {
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
func (l *eventLines) next() ([]byte, error) {
	for {
		var line []byte
		for {
			part, err := l.in.ReadSlice('\n')
			line = append(line, part...)
			if len(line) > maxEvent {
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

func (l *eventLines) wrong(err error) error { return fmt.Errorf("%s:%d: %w", l.name, l.line, err) }

// impactPolicies compiles candidate and baseline, and returns the name of the baseline: the
// hash of its revision, or recorded. path is that of an entry point, or empty.
func (e *env) impactPolicies(ctx context.Context, db *sqlite.Store, f *impactFlags, path string, impact *audit.Impact) (baseline string, err error) {
	settings := defaultSettings(f.candidate)
	if path != "" {
		settings.Entrypoint = entrypointOf(path)
	}
	if db != nil {
		snap, err := db.Snapshot(ctx, f.realm, e.now())
		if err != nil {
			return "", realmError(ctx, db, f.realm, err)
		}
		settings = snap.Realm.Policy
	}
	if isPath(f.candidate) {
		settings.Bundle = f.candidate
		impact.Candidate, err = rollout.NewReplayer(ctx, f.realm, settings)
	} else {
		var rev *uma.Revision
		if rev, err = db.Revision(ctx, f.candidate); errors.Is(err, uma.ErrNotFound) {
			return "", invalid("--candidate: there is no folder or file %s and no policy revision with this hash", f.candidate)
		}
		if err == nil {
			impact.Candidate, err = storedReplayer(ctx, db, rev, settings)
		}
	}
	if err != nil {
		return "", fmt.Errorf("--candidate: %w", err)
	}
	if f.baseline == "recorded" {
		return f.baseline, nil
	}
	rev, err := db.RevisionInForce(ctx, f.realm)
	if errors.Is(err, uma.ErrNotFound) {
		return "", fmt.Errorf("realm %s has never had an active policy: start a server, or use --baseline recorded", f.realm)
	}
	if err == nil {
		impact.Baseline, err = storedReplayer(ctx, db, rev, settings)
	}
	if err != nil {
		return "", fmt.Errorf("compile the active policy: %w", err)
	}
	return rev.Hash, nil
}

// storedReplayer compiles a stored revision for the entry point of the realm or of one of the
// revision's records.
func storedReplayer(ctx context.Context, db *sqlite.Store, rev *uma.Revision, settings uma.PolicySettings) (uma.Replayer, error) {
	records, err := db.FindDecisions(ctx, uma.DecisionFilter{Revision: rev.Hash}, 1)
	if err != nil {
		return nil, err
	}
	var others []string
	for i := range records {
		d, err := audit.Read(records[i].Event)
		if err != nil {
			return nil, err
		}
		others = append(others, entrypointOf(d.Path))
	}
	return rollout.NewStoredReplayer(ctx, rev, settings, slices.Clip(others)...)
}

// entrypointOf is the entry point with a path such as uma/authz/decision.
func entrypointOf(path string) string { return "data." + strings.ReplaceAll(path, "/", ".") }
