package adminapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"example.com/umpire/rollout"
	"example.com/umpire/uma/admin"
	"example.com/umpire/uma/audit"
)

// Bounds of an impact over the admin API.
const (
	impactTime    = 30 * time.Minute
	maxImpactRows = 10_000
)

// An ImpactQuery says which impact of a policy is asked for; see rollout.Impact.
type ImpactQuery struct {
	Realm    string
	Revision string // a stored revision, by the beginning of its hash
	Path     string // or a policy folder or bundle file
	Recorded bool
	Since    time.Time
	Limit    int

	// Changed is called for each change, if it is not nil; Progress once a second.
	Changed  func(*audit.ChangeRow) error
	Progress func(*audit.Report)
}

// An impactLine is a line of the answer about an impact: it has one of the members, except
// that the reasons for which records were skipped are with the report.
type impactLine struct {
	Progress *impactProgress     `json:"progress,omitempty"`
	Change   *audit.ChangeRow    `json:"change,omitempty"`
	Failed   *admin.Error        `json:"failed,omitempty"` // no line follows
	Report   *audit.ImpactReport `json:"report,omitempty"` // no line follows
	Reasons  map[string]int      `json:"skipped_reasons,omitempty"`
}

type impactProgress struct {
	Replayed int `json:"replayed"`
}

// impact runs one impact at a time, with one worker, so that requests for tokens have the
// other processors.
func (l *Local) impact(running chan struct{}) func(context.Context, *admin.Call) (any, error) {
	return func(ctx context.Context, c *admin.Call) (any, error) {
		run, err := l.readImpact(ctx, c)
		if err != nil {
			return nil, err
		}
		select {
		case running <- struct{}{}:
			defer func() { <-running }()
		default:
			return nil, admin.Errorf(admin.Busy, "the impact of another policy is under way: try again later")
		}
		if c.Body == nil {
			return l.runImpact(ctx, run)
		}
		name, err := uploadName(c)
		if err != nil {
			return nil, err
		}
		c.Detail = "upload of " + name
		return withUpload(c, name, func(path string) (any, error) {
			src, err := l.Rollout.UploadedSource(ctx, c.Realm, path)
			if refused, ok := errors.AsType[*rollout.RefusedError](err); ok {
				return nil, &admin.Error{Code: admin.Refused, Param: "candidate", Message: refused.Error()}
			}
			if err != nil {
				return nil, err
			}
			run.Candidate = &src
			return l.runImpact(ctx, run)
		})
	}
}

// readImpact reads the parameters of an impact.
func (l *Local) readImpact(ctx context.Context, c *admin.Call) (*rollout.Impact, error) {
	run := &rollout.Impact{Realm: c.Realm, Limit: 1000, Workers: 1}
	revision := c.Query.Get("revision")
	if (c.Body == nil) == (revision == "") {
		return nil, admin.Errorf(admin.InvalidRequest, "send a bundle file as the body, or the parameter revision")
	}
	switch text := c.Query.Get("baseline"); text {
	case "", "active":
	case rollout.Recorded:
		run.Recorded = true
	default:
		return nil, admin.Invalid("baseline", "want active or recorded, not %q", text)
	}
	if err := readTime(c, "since", &run.Since); err != nil {
		return nil, err
	}
	var err error
	if text := c.Query.Get("limit"); text != "" {
		if run.Limit, err = strconv.Atoi(text); err != nil || run.Limit < 0 || run.Limit > maxImpactRows {
			return nil, admin.Invalid("limit", "want a number from 0 to %d, not %q", maxImpactRows, text)
		}
	}
	all, err := readBool(c, "all")
	if err != nil {
		return nil, err
	}
	if all {
		run.Changed = func(row *audit.ChangeRow) error { return c.Send(impactLine{Change: row}) }
	}
	var told time.Time
	run.Progress = func(r *audit.Report) {
		if now := l.Now(); now.Sub(told) >= time.Second {
			told = now
			_ = c.Send(impactLine{Progress: &impactProgress{r.Replayed}}) // a client that is gone ends the context
		}
	}
	if revision != "" {
		c.Detail = "revision " + revision
		run.Revision, err = FindRevision(ctx, l.Store, c.Realm, revision)
	}
	return run, err
}

func (l *Local) runImpact(ctx context.Context, run *rollout.Impact) (any, error) {
	report, counts, err := run.Run(ctx, l.lists(), l.Now())
	refused, isRefused := errors.AsType[*rollout.RefusedError](err)
	switch {
	case isRefused:
		return nil, &admin.Error{Code: admin.Refused, Param: "candidate", Message: refused.Error()}
	case errors.Is(err, rollout.ErrNoRevision):
		return nil, admin.Invalid("candidate", "the sources of revision %s are no longer kept", run.Revision)
	case errors.Is(err, rollout.ErrNoActive):
		return nil, admin.Errorf(admin.Conflict, "%v: start a server, or use --baseline recorded", err)
	case err != nil:
		return nil, err
	}
	return impactLine{Report: report, Reasons: counts.Reasons}, nil
}

// Impact asks what a policy would have decided otherwise. Of the report that it returns
// second, only the reasons are set.
func (c *Client) Impact(ctx context.Context, q *ImpactQuery) (*audit.ImpactReport, *audit.Report, error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Revision != "" {
		query.Set("revision", q.Revision)
	}
	if q.Recorded {
		query.Set("baseline", rollout.Recorded)
	}
	if !q.Since.IsZero() {
		query.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if q.Changed != nil {
		query.Set("all", "true")
	}
	body, err := upload(q.Path, query)
	if err != nil {
		return nil, nil, err
	}
	res, err := c.send(ctx, http.MethodPost, realmPath(q.Realm, "/policy/impact"), query, body)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }() // it was read, or an error is returned
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var line impactLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, nil, fmt.Errorf("--server: read the answer: %w", err)
		}
		switch {
		case line.Failed != nil:
			return nil, nil, line.Failed
		case line.Report != nil:
			return line.Report, &audit.Report{Reasons: line.Reasons}, nil
		case line.Change != nil && q.Changed != nil:
			if err := q.Changed(line.Change); err != nil {
				return nil, nil, err
			}
		case line.Progress != nil && q.Progress != nil:
			q.Progress(&audit.Report{Replayed: line.Progress.Replayed})
		}
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return nil, nil, fmt.Errorf("--server: the answer of %s ended before the report: %w", c.URL, err)
}
