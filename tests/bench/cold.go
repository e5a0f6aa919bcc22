package main

import (
	"context"
	"errors"
	"time"
)

// measureCold measures the first second after a start, in which nothing is cached but pages of the
// file by the operating system, and a second of the same server when it has run for a while.
func measureCold(ctx context.Context, s setting, dir string) (err error) {
	const second, rounds = time.Second, 5
	servers, err := prepare(ctx, s, dir)
	if err != nil {
		return err
	}
	realm := realmFile{alg: "ES256"}
	if err := servers.start(ctx, realm, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.stop()) }()
	t := newFigures("Decisions after a start, 16 callers", "the first second")
	for _, u := range servers {
		var cold, warm samples
		for range rounds {
			if err := u.restart(ctx, realm); err != nil {
				return err
			}
			if err := u.signIn(); err != nil {
				return err
			}
			c := u.contender(u.name, u.decision())
			first, err := load(ctx, c, 16, 0, second)
			if err != nil {
				return err
			}
			later, err := load(ctx, c, 16, 2*second, second)
			if err != nil {
				return err
			}
			cold.add(first, first)
			warm.add(later, first)
		}
		t.figure(u.name+", the first second", cold.figure())
		t.figure(u.name+", the fourth", warm.figure())
	}
	t.print()
	return nil
}
