package main

import (
	"context"
	"errors"
	"fmt"
)

// measureTickets measures a permission ticket with the RPT for it, for each algorithm.
func measureTickets(ctx context.Context, s setting, dir string) error {
	servers, err := prepare(ctx, s, dir)
	if err != nil {
		return err
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		if err := measureSigned(ctx, s, servers, alg); err != nil {
			return fmt.Errorf("%s: %w", alg, err)
		}
	}
	return nil
}

// measureSigned has all servers sign with an algorithm.
func measureSigned(ctx context.Context, s setting, servers fleet, alg string) (err error) {
	if err := servers.start(ctx, realmFile{alg: alg}, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.stop()) }()
	all := servers
	if s.keycloak != "" {
		k, err := aKeycloak(ctx, s.keycloak)
		if err != nil {
			return fmt.Errorf("keycloak: %w", err)
		}
		all = append(fleet{k}, servers...)
	}
	for _, callers := range s.callers {
		if err := all.signIn(); err != nil {
			return err
		}
		var contenders []contender
		for _, u := range all {
			contenders = append(contenders, u.contender(u.name, u.roundTrip()))
		}
		if err := report(ctx, s, fmt.Sprintf("Ticket to RPT (two requests), %s, %d callers", alg, callers), callers, contenders); err != nil {
			return err
		}
	}
	return nil
}
