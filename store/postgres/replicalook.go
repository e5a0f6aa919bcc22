package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// How far the replica may be behind is bounded by positions in the write-ahead log: where the primary
// was at some times, and where the replica is. The time of the last transaction that it has replayed
// would not say: a replica of a primary that is idle has an old one.

const (
	// lookAtReplicaEvery is how often a process looks how far the replica has come, and replicaPatience how
	// long it waits for an answer.
	lookAtReplicaEvery = time.Second
	replicaPatience    = 2 * time.Second

	// startLooks is how often a process looks, in a tenth of that time each, when it starts and the replica
	// is a moment behind: most commands take less than a second.
	startLooks = 5
)

// A position is one in the write-ahead log of the primary, and when it was there.
type position struct {
	at  time.Time
	lsn int64
}

var (
	errBehind  = errors.New("it is behind the primary")
	errPrimary = errors.New("it is not a standby, but a primary itself")
)

// begin looks at the replica for the first time. Only that it is another database is an error.
func (r *replica) begin(ctx context.Context) error {
	for range startLooks {
		switch err := r.look(ctx); {
		case errors.Is(err, errNotReplica):
			return err
		case !errors.Is(err, errBehind):
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAtReplicaEvery / 10):
		}
	}
	return nil
}

// watch looks at the replica until the store is closed.
func (r *replica) watch() {
	tick := time.NewTicker(lookAtReplicaEvery)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-r.primary.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_ = r.look(ctx) // state says why the replica is not used
	}
}

// look finds out whether the replica can be used, and returns why not.
func (r *replica) look(ctx context.Context) error {
	r.askPrimary(ctx)
	come, err := r.askReplica(ctx)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.fail(err)
		return err
	}
	return r.compare(come)
}

// askPrimary notes where the primary is. If it does not answer, the replica is used until its last
// position is too old.
func (r *replica) askPrimary(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, replicaPatience)
	defer cancel()
	at := r.primary.cfg.Now()
	var lsn int64
	err := r.primary.pool.QueryRow(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint`).Scan(&lsn)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.positions = append(r.positions, position{at, lsn})
	}
	for len(r.positions) > 0 && at.Sub(r.positions[0].at) > maxLag {
		r.positions = r.positions[1:]
	}
}

// askReplica returns where the replica is. It has a connection of its own: those of the pool may all be
// used by long lists.
func (r *replica) askReplica(ctx context.Context) (lsn int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, replicaPatience)
	defer cancel()
	if r.looking == nil {
		c, err := pgx.ConnectConfig(ctx, r.pool.Config().ConnConfig)
		if err != nil {
			return 0, err
		}
		r.looking = c
		if err := r.checkOrigin(ctx, c); err != nil {
			r.hangUp(ctx)
			return 0, err
		}
	}
	if lsn, err = comeTo(ctx, r.looking); err != nil {
		r.hangUp(ctx)
	}
	return lsn, err
}

func (r *replica) hangUp(ctx context.Context) {
	_ = r.looking.Close(ctx) // it is not used again
	r.looking = nil
}

// comeTo returns where a standby is in the write-ahead log.
func comeTo(ctx context.Context, c *pgx.Conn) (lsn int64, err error) {
	var standby bool
	err = c.QueryRow(ctx, `SELECT pg_is_in_recovery(), coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint, 0)`).Scan(&standby, &lsn)
	if err == nil && !standby {
		err = errPrimary
	}
	return lsn, err
}

// compare decides whether the replica, which has come so far, is used, and returns why not.
func (r *replica) compare(come int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, bound := r.primary.cfg.Now(), maxLag
	if !r.used {
		bound /= 2
	}
	lag, known := r.lagOf(come, now)
	switch {
	case now.Before(r.rests):
		return nil // problem says how it has failed
	case !known, lag > bound:
		r.used, r.lag, r.problem = false, 0, fmt.Sprintf("%v, by more than %v", errBehind, bound)
		return errBehind
	}
	if r.serving.Err() != nil {
		r.serving, r.fails = context.WithCancel(context.Background())
	}
	r.used, r.lag, r.problem = true, lag, ""
	return nil
}

// lagOf is how old the state of the replica is, if it is known to be less than maxLag.
func (r *replica) lagOf(come int64, now time.Time) (lag time.Duration, known bool) {
	for _, p := range r.positions {
		if p.lsn <= come {
			lag, known = now.Sub(p.at), true
		}
	}
	return lag, known
}

// far is the position that the replica must have come to: the oldest within maxLag, if any is.
func (r *replica) far(now time.Time) (lsn int64, known bool) {
	for _, p := range r.positions {
		if now.Sub(p.at) <= maxLag {
			return p.lsn, true
		}
	}
	return 0, false
}

// rest lets the replica rest after it has failed. Other connections to it may be broken, too.
func (r *replica) rest(err error) {
	r.pool.Reset()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used, r.lag, r.problem = false, 0, err.Error()
	r.rests = r.primary.cfg.Now().Add(replicaRest)
}

// fail is rest, and ends all reads that are under way: none may be answered any more.
func (r *replica) fail(err error) {
	r.rest(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails()
}
