package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"example.com/umpire/uma"
)

// measureVersions measures several binaries of Umpire, which may be of several versions, in
// turns beside `opa run`. It makes the resources over the protection API, because each
// version has a schema of its own.
func measureVersions(ctx context.Context, s setting, dir string) (err error) {
	opa, err := startOPA(ctx, s, dir)
	if err != nil {
		return fmt.Errorf("opa: %w", err)
	}
	defer func() { err = errors.Join(err, opa.stop()) }()
	var versions []*umpire
	for i, binary := range s.versions {
		u := &umpire{binary: binary, name: binary, dir: filepath.Join(dir, fmt.Sprint("version-", i))}
		u.data = filepath.Join(u.dir, "data")
		if err := u.start(ctx, realmFile{alg: "ES256"}); err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		defer func() { err = errors.Join(err, u.stop()) }()
		if err := u.register(s.sizes[0].resources); err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		versions = append(versions, u)
	}
	for _, callers := range s.callers {
		decisions := []contender{{name: "opa run", addrs: []string{opa.addr}, script: opa.ask, processes: []*process{opa.process}}}
		var tickets []contender
		for _, u := range versions {
			if err := u.signIn(); err != nil { // again, since access tokens live for five minutes
				return err
			}
			decisions, tickets = append(decisions, u.contender(u.name, u.decision())), append(tickets, u.contender(u.name, u.roundTrip()))
		}
		if err := report(ctx, s, fmt.Sprintf("Decisions, %d callers", callers), callers, decisions); err != nil {
			return err
		}
		if err := report(ctx, s, fmt.Sprintf("Ticket to RPT (two requests), ES256, %d callers", callers), callers, tickets); err != nil {
			return err
		}
	}
	memory := &table{heading: "Resident memory after the load"}
	memory.row("", "resident")
	for _, u := range versions {
		memory.row(u.name, megabytes(u.resident()))
	}
	memory.print()
	return nil
}

// register makes boards as their resource server.
func (u *umpire) register(n int) error {
	c, err := dial(u.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range n {
		body := fmt.Sprintf(`{"name":"Board %d","type":"board","uris":["/boards/%[1]d"],"resource_scopes":["view","post"],"attributes":{"visibility":["public"]}}`, i)
		raw, err := c.send("POST", "/realms/photoz/authz/protection/resource_set", "Content-Type: application/json\r\nAuthorization: Bearer "+u.pat+"\r\n", body, 201)
		if err != nil {
			return err
		}
		var made struct {
			ID uma.ResourceID `json:"_id"`
		}
		if err := json.Unmarshal(raw, &made); err != nil {
			return err
		}
		u.ids = append(u.ids, made.ID)
	}
	return nil
}
