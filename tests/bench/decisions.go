package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// A caching is which caches the server has.
type caching struct {
	name string
	flag string // --caches; empty: the default
}

// cachings are those that are measured. The memo is the cache of decisions.
func cachings() []caching {
	return []caching{{"all", ""}, {"no-memo", "sessions,users,resources,shares"}, {"none", "none"}}
}

func parseCaching(name string) (caching, bool) {
	for _, c := range cachings() {
		if c.name == name {
			return c, true
		}
	}
	return caching{}, false
}

// A fleet is a running server for each size.
type fleet []*umpire

// prepare makes a server for each size, which is not started yet.
func prepare(ctx context.Context, s setting, dir string) (fleet, error) {
	var servers fleet
	for _, z := range s.sizes {
		u := &umpire{binary: s.umpire, size: z, name: count(int64(z.resources)) + " resources"}
		u.dir = filepath.Join(dir, fmt.Sprint(z.resources))
		var err error
		if u.data, err = s.database(ctx, filepath.Join(u.dir, "data"), z); err != nil {
			return nil, fmt.Errorf("make a database with %s: %w", z, err)
		}
		servers = append(servers, u)
	}
	return servers, nil
}

func (f fleet) start(ctx context.Context, realm realmFile, caches string) error {
	for _, u := range f {
		u.caches = caches
		if err := u.start(ctx, realm); err != nil {
			return errors.Join(err, f.stop())
		}
	}
	return nil
}

func (f fleet) stop() error {
	var errs []error
	for _, u := range f {
		if u.process != nil {
			errs = append(errs, u.stop())
			u.process = nil
		}
	}
	return errors.Join(errs...)
}

// signIn obtains new tokens, since access tokens live for five minutes.
func (f fleet) signIn() error {
	for _, u := range f {
		if err := u.signIn(); err != nil {
			return err
		}
	}
	return nil
}

// makeDatabases makes the large databases.
func makeDatabases(ctx context.Context, s setting, dir string) error {
	_, err := prepare(ctx, s, dir)
	return err
}

// measureDecisions measures decisions beside OPA.
func measureDecisions(ctx context.Context, s setting, dir string) (err error) {
	opa, err := startOPA(ctx, s, dir)
	if err != nil {
		return fmt.Errorf("opa: %w", err)
	}
	defer func() { err = errors.Join(err, opa.stop()) }()
	servers, err := prepare(ctx, s, dir)
	if err != nil {
		return err
	}
	memory := &table{heading: "Resident memory"}
	memory.row("", "ready after", "when ready", "after the load")
	for n, c := range s.caches {
		if err := measureCaching(ctx, s, opa, servers, c, n == 0, memory); err != nil {
			return fmt.Errorf("caches %s: %w", c.name, err)
		}
	}
	memory.row("opa run --server", short(opa.ready), megabytes(opa.empty), megabytes(opa.resident()))
	memory.print()
	return nil
}

// measureCaching measures decisions of servers with these caches. What has no part in caches is
// measured once.
func measureCaching(ctx context.Context, s setting, opa *opaServer, servers fleet, c caching, once bool, memory *table) (err error) {
	if err := servers.start(ctx, realmFile{alg: "ES256"}, c.flag); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.stop()) }()
	var keycloak *umpire
	if s.keycloak != "" && once {
		if keycloak, err = aKeycloak(ctx, s.keycloak); err != nil {
			return fmt.Errorf("keycloak: %w", err)
		}
	}
	for _, callers := range s.callers {
		if err := servers.signIn(); err != nil {
			return err
		}
		contenders := []contender{{name: "opa run", addrs: []string{opa.addr}, script: opa.ask, processes: []*process{opa.process}}}
		if keycloak != nil {
			if err := keycloak.signIn(); err != nil {
				return err
			}
			contenders = append(contenders, keycloak.contender(keycloak.name, keycloak.decision()))
		}
		if once {
			contenders = append(contenders, servers[0].contender("HTTP alone, a path that does not exist", servers[0].nothing()))
		}
		for _, u := range servers {
			contenders = append(contenders, u.contender(u.name, u.decision()))
			if u.size.shares > 0 {
				contenders = append(contenders, u.contender(u.name+", one of "+count(int64(u.size.shares))+" shares", u.sharedDecision()))
			}
		}
		if err := report(ctx, s, fmt.Sprintf("Decisions, %d callers, caches: %s", callers, c.name), callers, contenders); err != nil {
			return err
		}
	}
	for _, u := range servers {
		memory.row(u.name+", caches: "+c.name, short(u.ready), megabytes(u.empty), megabytes(u.resident()))
	}
	return nil
}
