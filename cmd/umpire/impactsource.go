package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"example.com/umpire/adminapi"
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
	"example.com/umpire/uma/audit"
)

// setCandidate reads the candidate, unless it is a stored revision.
func (f *impactFlags) setCandidate(ctx context.Context, db uma.Revisions, impact *rollout.Impact) (err error) {
	if !isPath(f.candidate) {
		if impact.Revision = f.candidate; len(f.candidate) < wholeHash {
			impact.Revision, err = adminapi.FindRevision(ctx, db, f.realm, f.candidate)
		}
		return err
	}
	src, err := rollout.Source(f.candidate)
	if err != nil {
		return fmt.Errorf("--candidate: %w", err)
	}
	impact.Candidate = &src
	return nil
}

// open opens the file of events, and returns the path of the entry point that its first event
// of the realm names.
func (f *impactFlags) open(impact *rollout.Impact) (in *os.File, path string, err error) {
	in = os.Stdin
	if f.file != "-" {
		if in, err = os.Open(f.file); err != nil {
			return nil, "", invalid("--file: %w", err)
		}
	}
	lines := audit.NewLines(f.file, in)
	first, err := lines.First(f.realm)
	if errors.Is(err, io.EOF) {
		err = invalid("--file: %s has no decision of realm %s", f.file, f.realm)
	}
	if err != nil {
		return nil, "", errors.Join(err, in.Close())
	}
	impact.Events = lines.Each
	return in, first.Path, nil
}

// described adds to an error what the command line has to do with it.
func (f *impactFlags) described(ctx context.Context, db uma.Realms, err error) error {
	_, refused := errors.AsType[*rollout.RefusedError](err)
	switch {
	case refused:
		return fmt.Errorf("--candidate: %w", err)
	case errors.Is(err, rollout.ErrNoRevision):
		return invalid("--candidate: there is no folder or file %s and no policy revision with this hash", f.candidate)
	case errors.Is(err, rollout.ErrNoActive):
		return fmt.Errorf("%w: start a server, or use --baseline recorded", err)
	}
	return realmError(ctx, db, f.realm, err)
}
