package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A soaking is a server under the load of everything at the same time.
type soaking struct {
	*umpire
	tokens atomic.Pointer[signed] // the newest

	mu   sync.Mutex
	took map[string][]time.Duration // by what was asked
}

// soakRows are how many times the server's memory, descriptors and WAL are looked at during the soak.
const soakRows = 10

// measureSoak has callers decide, refuse, trade tickets, change shares and sign in for as long as
// -soak says. It fails if any answer is not the wanted one, or if the server logs a warning.
func measureSoak(ctx context.Context, s setting, dir string) (err error) {
	z := s.sizes[0]
	if z.shares == 0 {
		return errors.New("the first size has no shares")
	}
	k := &soaking{umpire: &umpire{binary: s.umpire, size: z, dir: dir, data: filepath.Join(dir, "data")}, took: map[string][]time.Duration{}}
	if err := z.make(ctx, k.data, ""); err != nil {
		return err
	}
	if err := k.start(ctx, realmFile{alg: "ES256"}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.stop()) }()
	k.tokens.Store(&k.signed)
	noted, err := os.ReadFile(k.log) // what it says about the realm file
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for caller := range 16 {
		wg.Go(func() {
			if err := k.call(ctx, caller, &stop); err != nil {
				cancel(err)
			}
		})
	}
	ends := k.watch(ctx, s.soak)
	stop.Store(true)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	k.answers(s.soak).print()
	ends.print()
	text, err := os.ReadFile(k.log)
	if err == nil && len(text) > len(noted) {
		err = fmt.Errorf("the server logged: %.2000s", text[len(noted):])
	}
	return err
}

// watch looks at the server now and then. The first row is that of a server that has been under
// load for a moment.
func (k *soaking) watch(ctx context.Context, d time.Duration) *table {
	t := &table{heading: "The server in the soak"}
	t.row("after", "resident", "descriptors", "WAL")
	begin := time.Now()
	for n := range soakRows + 1 {
		wait(ctx, time.Until(begin.Add(max(d*time.Duration(n)/soakRows, time.Second))))
		t.row(time.Since(begin).Round(time.Second).String(), megabytes(k.resident()), fmt.Sprint(k.descriptors()), megabytes(k.logBytes()))
	}
	return t
}

// answers is what was answered, by what was asked.
func (k *soaking) answers(d time.Duration) *table {
	t := &table{heading: "Answers in a soak of " + d.String() + ", 16 callers"}
	t.row("", "answers", "p50", "p99", "slowest")
	for _, what := range []string{"decision", "decision on a share", "refusal", "ticket to RPT (two requests)", "withdraw and share (two requests)", "sign-in"} {
		took := k.took[what]
		if len(took) == 0 {
			t.row(what, "0", "–", "–", "–")
			continue
		}
		slices.Sort(took)
		t.row(what, count(int64(len(took))), millis(percentile(took, 50)), millis(percentile(took, 99)), millis(took[len(took)-1]))
	}
	return t
}

// call asks one thing after the other. The first caller signs in between, since access tokens
// live for five minutes, and passwords are meant to be slow.
func (k *soaking) call(ctx context.Context, caller int, stop *atomic.Bool) error {
	c, err := dial(k.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	mine := map[string][]time.Duration{}
	for turn := 0; !stop.Load() && ctx.Err() == nil; turn++ {
		begin := time.Now()
		what, err := k.ask(c, caller, turn)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		mine[what] = append(mine[what], time.Since(begin))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for what, took := range mine {
		k.took[what] = append(k.took[what], took...)
	}
	return nil
}

func (k *soaking) ask(c *conn, caller, turn int) (string, error) {
	t := *k.tokens.Load()
	if caller == 0 && turn%1000 == 0 {
		next, err := signIn(k.addr)
		k.tokens.Store(&next)
		return "sign-in", err
	}
	switch (caller + turn) % 10 {
	case 0:
		return "ticket to RPT (two requests)", roundTrip(c, t, k.board(caller, turn))
	case 1:
		return "withdraw and share (two requests)", withdrawAndShare(c, t, k.album(caller, turn))
	case 2, 3: // carol has not the role that the policy of boards wants
		return "refusal", decide(c, t.carol, ofBoards, view(k.board(caller, turn)), 403)
	case 4, 5, 6:
		return "decision on a share", decide(c, t.bob, ofAlbums, view(k.album(caller, turn)), 200)
	}
	return "decision", decide(c, t.bob, ofBoards, view(k.board(caller, turn)), 200)
}
