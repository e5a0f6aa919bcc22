package sinks

import (
	"context"
	"maps"
	"sync"
	"time"

	"example.com/umpire/uma"
)

// A State is a sink as this server sees it.
type State struct {
	uma.Sink
	Backlog  uma.Backlog
	Runs     bool  // this server delivers, or waits to take over
	Standby  bool  // another server delivers
	Sent     int64 // records that this server has delivered since its start
	Failures int64 // failed attempts of this server since its start
}

// recount is how long the backlog of a sink that does not run here is not counted again: all servers of a
// database are asked for it, and the count may read many records.
const recount = 10 * time.Second

// others are the backlogs of sinks that do not run here.
type others struct {
	mu      sync.Mutex
	counted map[string]counted
}

// counted is a backlog as it was at a time.
type counted struct {
	uma.Backlog
	at time.Time
}

// States returns all sinks: those that run as this server sees them, others as they are in the database. So
// each server knows of records that nobody delivers.
func (s *Service) States(ctx context.Context) ([]State, error) {
	rows, err := s.Store.AllSinks(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	running := maps.Clone(s.running)
	s.mu.Unlock()
	var states []State
	for _, row := range rows {
		state := State{Sink: row}
		if w := running[row.Name]; w != nil {
			p := w.see()
			state = State{Sink: p.sink, Runs: true, Standby: p.lost, Sent: p.delivered, Failures: p.failures}
			state.Cut = row.Cut
			state.Backlog, err = s.Store.BacklogOf(ctx, row.Realm, p.after)
		} else {
			state.Backlog, err = s.backlog(ctx, row)
		}
		if err != nil {
			return nil, err
		}
		states = append(states, state)
	}
	return states, nil
}

// backlog returns what a sink that does not run here has not delivered, of at most recount ago.
func (s *Service) backlog(ctx context.Context, row uma.Sink) (uma.Backlog, error) {
	s.others.mu.Lock()
	defer s.others.mu.Unlock()
	if known, ok := s.others.counted[row.Name]; ok && time.Since(known.at) < recount {
		return known.Backlog, nil
	}
	b, err := s.Store.BacklogOf(ctx, row.Realm, row.Cursor)
	if err != nil {
		return uma.Backlog{}, err
	}
	if s.others.counted == nil {
		s.others.counted = map[string]counted{}
	}
	s.others.counted[row.Name] = counted{b, time.Now()}
	return b, nil
}
