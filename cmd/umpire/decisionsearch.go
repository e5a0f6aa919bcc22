package main

import (
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

// decisionFlags say which decisions are meant.
type decisionFlags struct {
	realm, user, subject, client, resource, outcome, rule, request, revision, since, until string

	from, to time.Time // since and until, as check has read them
}

func (f *decisionFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.realm, "realm", "", "`name` of the realm")
	fl.StringVar(&f.user, "user", "", "`name` or id of the user who asked")
	fl.StringVar(&f.subject, "subject", "", "`id` of the requesting party, a user or a client's service account")
	fl.StringVar(&f.client, "client", "", "`client_id` that asked")
	fl.StringVar(&f.resource, "resource", "", "`name` or id of the resource")
	fl.StringVar(&f.outcome, "outcome", "", "granted, partial, need_info, submitted, denied or error")
	fl.StringVar(&f.rule, "rule", "", "`label` of a rule that decided, as team/rule")
	fl.StringVar(&f.request, "request-id", "", "`id` of the request, as in the log and in the header X-Request-Id")
	fl.StringVar(&f.revision, "revision", "", "`hash` of the policy that decided")
	fl.StringVar(&f.since, "since", "", "`time` (RFC 3339), day, or how long ago (2h, 90d)")
	fl.StringVar(&f.until, "until", "", "`time` (RFC 3339), day, or how long ago (1h, 90d)")
}

// outcomes are those that a record can have.
var outcomes = []string{"granted", "partial", "need_info", "submitted", "denied", "error"}

// check refuses contradictions and empty values: an empty text, such as a variable that
// is not set, must not mean any.
func (f *decisionFlags) check(e *env, cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if flag.Value.Type() == "string" && flag.Value.String() == "" {
			errs = append(errs, fmt.Errorf("--%s is empty", flag.Name))
		}
	})
	if f.user != "" && f.subject != "" {
		errs = append(errs, errors.New("--user and --subject both say who asked"))
	}
	if f.outcome != "" && !slices.Contains(outcomes, f.outcome) {
		errs = append(errs, fmt.Errorf("--outcome: %q is none of %s", f.outcome, strings.Join(outcomes, ", ")))
	}
	for _, m := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", f.since, &f.from}, {"--until", f.until, &f.to}} {
		if m.text == "" {
			continue
		}
		var err error
		if *m.to, err = e.moment(m.text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.flag, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return mistaken("%w", err)
	}
	return nil
}

// moment reads a time, or how long ago it was.
func (e *env) moment(text string) (time.Time, error) {
	if d, err := parseAge(text); err == nil {
		return e.now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a time such as 2026-11-22T12:00:00Z, a day such as 2026-11-22, nor an age such as 2h or 90d", text)
}

// A search turns flags into a filter. Names are looked up, and an unknown name is an
// error: an empty list would be taken for "nothing happened".
type search struct {
	*env
	db     *sqlite.Store
	flags  *decisionFlags
	realms []*uma.Snapshot
}

func (e *env) filter(ctx context.Context, db *sqlite.Store, flags *decisionFlags) (f uma.DecisionFilter, err error) {
	f = uma.DecisionFilter{Realm: flags.realm, Outcome: flags.outcome, Since: flags.from, Until: flags.to}
	s := &search{env: e, db: db, flags: flags}
	if err := s.readRealms(ctx); err != nil {
		return f, err
	}
	if f.Subject, err = s.party(ctx); err != nil {
		return f, err
	}
	if f.Resource, err = s.resource(ctx); err != nil {
		return f, err
	}
	if f.Client, err = s.client(ctx); err != nil {
		return f, err
	}
	f.Rule, f.Request, f.Revision = flags.rule, flags.request, flags.revision
	for _, m := range []struct {
		flag, text, what string
		f                uma.DecisionFilter
	}{
		{"--rule", flags.rule, "was made by the rule", uma.DecisionFilter{Rule: flags.rule}},
		{"--request-id", flags.request, "belongs to the request", uma.DecisionFilter{Request: flags.request}},
		{"--revision", flags.revision, "was made by the policy", uma.DecisionFilter{Revision: flags.revision}},
	} {
		if m.text == "" {
			continue
		}
		switch known, err := s.onRecord(ctx, m.f); {
		case err != nil:
			return f, err
		case !known:
			return f, mistaken("%s: no decision on record %s %q", m.flag, m.what, m.text)
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

// onRecord reports whether there is any record of the kind.
func (s *search) onRecord(ctx context.Context, f uma.DecisionFilter) (bool, error) {
	found, err := s.db.FindDecisions(ctx, f, 1)
	return len(found) > 0, err
}

// party is the id of the requesting party.
func (s *search) party(ctx context.Context) (string, error) {
	name := firstOf(s.flags.user, s.flags.subject)
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
	case 0: // someone who is gone is known by the id alone
		switch known, err := s.onRecord(ctx, uma.DecisionFilter{Subject: name}); {
		case err != nil:
			return "", err
		case known:
			return name, nil
		case s.flags.subject != "":
			return "", mistaken("--subject: nobody has the id %q, and no decision on record is about it; --user takes names", name)
		}
		return "", mistaken("--user: there is no user %q; one who was removed is found by the id", name)
	}
	return "", mistaken("--user: %q is a user of the realms %s: name one of them with --realm", name, strings.Join(realms, ", "))
}

// userOf returns the id of a user, or of a client's service account, empty if there is none.
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

// resource is the id of a resource; the flag may be the id itself, also of a removed
// resource.
func (s *search) resource(ctx context.Context) (uma.ResourceID, error) {
	name := s.flags.resource
	if name == "" {
		return "", nil
	}
	known, err := s.onRecord(ctx, uma.DecisionFilter{Resource: uma.ResourceID(name)})
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
		return "", mistaken("--resource: there is no resource %q; one that was removed is found by the id", name)
	case 1:
		return found[0], nil
	}
	return "", mistaken("--resource: several resources have the name %q: name one by its id\n  %s", name, strings.Join(shown, "\n  "))
}

// manyResources is how many resources of one name an error lists.
const manyResources = 10

func (s *search) client(ctx context.Context) (string, error) {
	id := s.flags.client
	if id == "" {
		return "", nil
	}
	for _, snap := range s.realms {
		if snap.Clients[id] != nil {
			return id, nil
		}
	}
	known, err := s.onRecord(ctx, uma.DecisionFilter{Client: id})
	if err == nil && !known {
		err = mistaken("--client: there is no client %q, and no decision on record is about one", id)
	}
	return id, err
}
