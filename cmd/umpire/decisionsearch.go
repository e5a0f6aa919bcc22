package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/umpire/store/sqlite"
	"example.com/umpire/uma"
)

// decisionFlags are the flags that select decisions.
type decisionFlags struct {
	realm, user, subject, client, resource, outcome, rule, request, revision, since, until string

	from, to time.Time // since and until; check parses them
}

func (f *decisionFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.user, "user", "", "`name` or id of the user who asked")
	fl.StringVar(&f.subject, "subject", "", "`id` of the requesting party, a user or a client's service account")
	fl.StringVar(&f.client, "client", "", "`client_id` of the client that asked")
	fl.StringVar(&f.resource, "resource", "", "`name` or id of the resource")
	fl.StringVar(&f.outcome, "outcome", "", "granted, partial, need_info, submitted, denied or error")
	fl.StringVar(&f.rule, "rule", "", "`label` of a rule that decided, such as team/rule")
	fl.StringVar(&f.request, "request-id", "", "`id` of the HTTP request, as in the log and in the header X-Request-Id")
	fl.StringVar(&f.revision, "revision", "", "`hash` of the policy revision that decided")
	fl.StringVar(&f.since, "since", "", "not before this `time` (RFC 3339), day or age (2h, 90d)")
	fl.StringVar(&f.until, "until", "", "before this `time` (RFC 3339), day or age (1h, 90d)")
}

// outcomes are the outcomes that a record can have.
var outcomes = []string{"granted", "partial", "need_info", "submitted", "denied", "error"}

// check parses the flags. It refuses contradictions and empty values: an unset shell
// variable must not select everything.
func (f *decisionFlags) check(e *env, cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Value.Type() == "string" && flag.Value.String() == "" {
			errs = append(errs, fmt.Errorf("--%s is empty: give it a value, or leave it out", flag.Name))
		}
	})
	if f.user != "" && f.subject != "" {
		errs = append(errs, errors.New("--user and --subject both name the requesting party: give one of them"))
	}
	if f.outcome != "" && !slices.Contains(outcomes, f.outcome) {
		errs = append(errs, fmt.Errorf("--outcome: want one of %s, not %q", strings.Join(outcomes, ", "), f.outcome))
	}
	for _, m := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", f.since, &f.from}, {"--until", f.until, &f.to}} {
		if m.text == "" {
			continue
		}
		var err error
		if *m.to, err = e.parseTime(m.text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.flag, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return invalid("%w", err)
	}
	return nil
}

// parseTime parses a time, a day or an age.
func (e *env) parseTime(text string) (time.Time, error) {
	if d, err := parseAge(text); err == nil {
		return e.now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("want a time such as 2026-11-22T12:00:00Z, a day such as 2026-11-22 or an age such as 2h or 90d, not %q", text)
}

// A search makes a filter of the flags. It looks up names; an unknown name is an error,
// because an empty list would look as if nothing had happened.
type search struct {
	*env
	db     *sqlite.Store
	flags  *decisionFlags
	realms []*uma.Snapshot
}

// filter returns the filter for the flags.
func (e *env) filter(ctx context.Context, db *sqlite.Store, flags *decisionFlags) (f uma.DecisionFilter, err error) {
	f = uma.DecisionFilter{Realm: flags.realm, Outcome: flags.outcome, Since: flags.from, Until: flags.to}
	s := &search{env: e, db: db, flags: flags}
	if err := s.readRealms(ctx); err != nil {
		return f, err
	}
	if f.Subject, err = s.findParty(ctx); err != nil {
		return f, err
	}
	if f.Resource, err = s.findResource(ctx); err != nil {
		return f, err
	}
	if f.Client, err = s.findClient(ctx); err != nil {
		return f, err
	}
	f.Rule, f.Request, f.Revision = flags.rule, flags.request, flags.revision
	for _, m := range []struct {
		flag, text, kind string
		f                uma.DecisionFilter
	}{
		{"--rule", flags.rule, "rule", uma.DecisionFilter{Rule: flags.rule}},
		{"--request-id", flags.request, "request", uma.DecisionFilter{Request: flags.request}},
		{"--revision", flags.revision, "policy revision", uma.DecisionFilter{Revision: flags.revision}},
	} {
		if m.text == "" {
			continue
		}
		switch known, err := s.hasRecord(ctx, m.f); {
		case err != nil:
			return f, err
		case !known:
			return f, invalid("%s: no decision record has the %s %q", m.flag, m.kind, m.text)
		}
	}
	return f, nil
}

func (s *search) readRealms(ctx context.Context) error {
	names := []string{s.flags.realm}
	if s.flags.realm == "" {
		var err error
		if names, err = s.db.RealmNames(ctx); err != nil {
			return err
		}
	}
	for _, name := range names {
		snap, err := s.db.Snapshot(ctx, name, s.now())
		if err != nil {
			return realmError(ctx, s.db, name, err)
		}
		s.realms = append(s.realms, snap)
	}
	return nil
}

// hasRecord reports whether a record matches.
func (s *search) hasRecord(ctx context.Context, f uma.DecisionFilter) (bool, error) {
	found, err := s.db.FindDecisions(ctx, f, 1)
	return len(found) > 0, err
}

// findParty returns the id of the requesting party that the flags name.
func (s *search) findParty(ctx context.Context) (string, error) {
	name := cmp.Or(s.flags.user, s.flags.subject)
	if name == "" {
		return "", nil
	}
	var found []string
	var realms []string
	for _, snap := range s.realms {
		id, err := s.userOf(ctx, snap, name)
		if err != nil {
			return "", err
		}
		if id != "" {
			found, realms = append(found, id), append(realms, snap.Realm.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0: // a deleted user can be found by the id
		switch known, err := s.hasRecord(ctx, uma.DecisionFilter{Subject: name}); {
		case err != nil:
			return "", err
		case known:
			return name, nil
		case s.flags.subject != "":
			return "", invalid("--subject: no user, service account or decision record has the id %q; use --user for a name", name)
		}
		return "", invalid("--user: there is no user %q; a deleted user is found by the id", name)
	}
	return "", invalid("--user: the realms %s each have a user %q: select one with --realm", strings.Join(realms, ", "), name)
}

// userOf returns the id of a user or of a client's service account, "" if there is none.
func (s *search) userOf(ctx context.Context, snap *uma.Snapshot, name string) (_ string, err error) {
	if s.flags.subject != "" && snap.ByUUID[name] != nil {
		return name, nil
	}
	view, err := s.db.View(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	u, err := view.User(ctx, snap.Realm.Key, name)
	if errors.Is(err, uma.ErrNotFound) && s.flags.user != "" {
		u, err = view.UserByName(ctx, snap.Realm.Key, name)
	}
	switch {
	case errors.Is(err, uma.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	}
	return u.ID, nil
}

// findResource returns the id of the resource that the flag names, by name or by id. The id
// may be that of a deleted resource with records.
func (s *search) findResource(ctx context.Context) (uma.ResourceID, error) {
	name := s.flags.resource
	if name == "" {
		return "", nil
	}
	known, err := s.hasRecord(ctx, uma.DecisionFilter{Resource: uma.ResourceID(name)})
	if err != nil || known {
		return uma.ResourceID(name), err
	}
	var found []uma.ResourceID
	var shown []string
	for _, snap := range s.realms {
		for _, server := range snap.Clients {
			if !server.ResourceServer {
				continue
			}
			for _, f := range []uma.ResourceFilter{{ID: uma.ResourceID(name)}, {Name: name, ExactName: true}} {
				err := s.db.FindResources(ctx, server.Key, f, 0, manyResources, func(r *uma.Resource) error {
					found = append(found, r.ID)
					shown = append(shown, fmt.Sprintf("%s (at %s, realm %s)", r.ID, server.ID, snap.Realm.Name))
					return nil
				})
				if err != nil {
					return "", err
				}
			}
		}
	}
	switch len(found) {
	case 0:
		return "", invalid("--resource: there is no resource %q; a deleted resource is found by the id", name)
	case 1:
		return found[0], nil
	}
	return "", invalid("--resource: several resources have the name %q: give the id of one\n  %s", name, strings.Join(shown, "\n  "))
}

// manyResources is how many resources of the same name an error lists.
const manyResources = 10

// findClient returns the client_id that the flag names. It may be that of a deleted client
// with records.
func (s *search) findClient(ctx context.Context) (string, error) {
	id := s.flags.client
	if id == "" {
		return "", nil
	}
	for _, snap := range s.realms {
		if snap.Clients[id] != nil {
			return id, nil
		}
	}
	known, err := s.hasRecord(ctx, uma.DecisionFilter{Client: id})
	if err == nil && !known {
		err = invalid("--client: no client and no decision record has the client_id %q", id)
	}
	return id, err
}
