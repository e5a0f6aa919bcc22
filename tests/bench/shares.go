package main

import (
	"context"
	"errors"
)

// measureShares has servers with few and many shares of one owner do what owners and those they
// share with do.
func measureShares(ctx context.Context, s setting, dir string) (err error) {
	servers, err := prepare(ctx, s, dir)
	if err != nil {
		return err
	}
	if err := servers.start(ctx, realmFile{alg: "ES256"}, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.stop()) }()
	for _, what := range []struct {
		name   string
		script func(*umpire) script
	}{
		{"Withdraw and share (two requests)", (*umpire).withdrawAndShare},
		{"5 resources of what is shared with others", (*umpire).sharedPage},
		{"5 resources of what is shared with me", (*umpire).receivedPage},
		{"A decision on a shared resource", (*umpire).sharedDecision},
		{"All entitlements, 5 permissions at most", (*umpire).entitlements},
	} {
		if err := servers.signIn(); err != nil {
			return err
		}
		var contenders []contender
		for _, u := range servers {
			if u.size.shares > 0 {
				contenders = append(contenders, u.contender(count(int64(u.size.shares))+" shares", what.script(u)))
			}
		}
		if len(contenders) == 0 {
			return errors.New("no size has shares")
		}
		if err := report(ctx, s, what.name+", 16 callers", 16, contenders); err != nil {
			return err
		}
	}
	return nil
}
