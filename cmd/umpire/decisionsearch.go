package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/umpire/adminapi"
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
	if f.outcome != "" && !slices.Contains(adminapi.Outcomes, f.outcome) {
		errs = append(errs, fmt.Errorf("--outcome: want one of %s, not %q", strings.Join(adminapi.Outcomes, ", "), f.outcome))
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

// query is what the flags select.
func (f *decisionFlags) query() *adminapi.DecisionQuery {
	return &adminapi.DecisionQuery{
		Realm: f.realm, User: f.user, Subject: f.subject, Client: f.client, Resource: f.resource, Outcome: f.outcome,
		Rule: f.rule, Request: f.request, Revision: f.revision, Since: f.from, Until: f.to,
	}
}
