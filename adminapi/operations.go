package adminapi

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/umpire/bundles"
	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// Operations are the endpoints of the admin API. Client has their other end.
func (l *Local) Operations() []admin.Operation {
	compile, search := make(chan struct{}, 1), make(chan struct{}, 1)
	rollback := make(chan struct{}, 1) // it is urgent, and waits for no upload, test or explanation
	return []admin.Operation{
		{Name: "policy status", Method: "GET", Path: "/policy", Right: uma.AdminRead, Run: l.status},
		{Name: "policy history", Method: "GET", Path: "/policy/history", Right: uma.AdminRead, Params: []string{"before", "limit"}, Run: l.history},

		{
			Name: "policy activate", Method: "POST", Path: "/policy/activate", Right: uma.AdminPolicy, Params: []string{"revision", "name", "note", "confirm"},
			Body: bundles.MaxArchive, Timeout: activationTime, Run: inTurn(compile, l.activate),
		},
		{Name: "policy rollback", Method: "POST", Path: "/policy/rollback", Right: uma.AdminPolicy, Params: []string{"note", "revoke"}, Timeout: activationTime, Run: inTurn(rollback, l.rollback)},
		{Name: "decisions list", Method: "GET", Path: "/decisions", Right: uma.AdminRead, Params: append([]string{"before", "limit"}, queryParams...), Run: inTurn(search, l.decisions)},
		{Name: "decisions show", Method: "GET", Path: "/decisions/:id", Right: uma.AdminRead, Params: []string{"sources"}, Run: l.decision},
		{
			Name: "decisions explain", Method: "GET", Path: "/decisions/:id/explanation", Right: uma.AdminRead, Params: []string{"now", "trace"},
			Timeout: explanationTime, Run: inTurn(compile, l.explain),
		},

		{
			Name: "policy impact", Method: "POST", Path: "/policy/impact", Right: uma.AdminRead,
			Params: []string{"revision", "name", "baseline", "since", "limit", "all"}, Body: bundles.MaxArchive, Timeout: impactTime, Stream: true,
			Run: l.impact(make(chan struct{}, 1)),
		},

		{Name: "policy confirm", Method: "POST", Path: "/policy/confirm", Right: uma.AdminPolicy, Run: l.confirm},
		{Name: "policy release", Method: "POST", Path: "/policy/release", Right: uma.AdminPolicy, Run: l.release},
	}
}

// activationTime is how long an activation may take, with the tests of the policy.
const activationTime = 4 * time.Minute

// explanationTime is how long an explanation may take, with the time that it waits.
const explanationTime = time.Minute

// inTurn runs one operation of a kind at a time: what compiles policies or searches many records
// must not take all processors or readers of the database from requests for tokens.
func inTurn(turn chan struct{}, run func(context.Context, *admin.Call) (any, error)) func(context.Context, *admin.Call) (any, error) {
	return func(ctx context.Context, c *admin.Call) (any, error) {
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
			return run(ctx, c)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// by is who activates a policy with a token, in the history.
func by(c *admin.Call) string { return "token " + c.Token.Name }

func (l *Local) activate(ctx context.Context, c *admin.Call) (any, error) {
	o := Order{Realm: c.Realm, By: by(c), Note: c.Query.Get("note"), Revision: c.Query.Get("revision")}
	var err error
	if text := c.Query.Get("confirm"); text != "" {
		if o.Confirm, err = time.ParseDuration(text); err != nil || o.Confirm == 0 {
			return nil, admin.Invalid("confirm", "want a duration between 10s and 168h, not %q", text)
		}
	}
	if c.Body == nil || o.Revision != "" {
		if c.Body != nil || o.Revision == "" {
			return nil, admin.Errorf(admin.InvalidRequest, "send a bundle file as the body, or the parameter revision")
		}
		c.Detail = "revision " + o.Revision
		return noteChange(c)(l.Activate(ctx, o))
	}
	name, err := uploadName(c)
	if err != nil {
		return nil, err
	}
	c.Detail = "upload of " + name
	return withUpload(c, name, func(path string) (any, error) {
		o.Path, o.source = path, c.Detail
		return noteChange(c)(l.Activate(ctx, o))
	})
}

// maxName is how many bytes the name of an upload may have.
const maxName = 512

// uploadName is what the client calls the policy that it sends.
func uploadName(c *admin.Call) (string, error) {
	name := cmp.Or(c.Query.Get("name"), "bundle.tar.gz")
	if len(name) > maxName || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		return "", admin.Invalid("name", "want at most %d printable bytes", maxName)
	}
	return name, nil
}

// noteChange puts the revision that is in force then into the record of a use.
func noteChange(c *admin.Call) func(*Change, error) (any, error) {
	return func(change *Change, err error) (any, error) {
		if err != nil {
			return nil, err
		}
		if c.Detail != "" {
			c.Detail += ": "
		}
		c.Detail += "revision " + change.Revision + " is in force"
		return change, nil
	}
}

func (l *Local) rollback(ctx context.Context, c *admin.Call) (any, error) {
	revoke, err := readBool(c, "revoke")
	if err != nil {
		return nil, err
	}
	return noteChange(c)(l.Rollback(ctx, Order{Realm: c.Realm, By: by(c), Note: c.Query.Get("note"), Revoke: revoke}))
}

func (l *Local) confirm(ctx context.Context, c *admin.Call) (any, error) {
	return l.Confirm(ctx, c.Realm, by(c))
}

func (l *Local) release(ctx context.Context, c *admin.Call) (any, error) {
	return l.Release(ctx, c.Realm)
}

// readBool reads a parameter that is true or false; false without it.
func readBool(c *admin.Call, name string) (bool, error) {
	switch text := c.Query.Get(name); text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, admin.Invalid(name, "want true or false, not %q", text)
	}
}

func (l *Local) status(ctx context.Context, c *admin.Call) (any, error) {
	return l.Status(ctx, c.Realm)
}

func (l *Local) history(ctx context.Context, c *admin.Call) (any, error) {
	before, limit, err := readPage(c)
	if err != nil {
		return nil, err
	}
	page, next, err := l.History(ctx, c.Realm, before, limit)
	setNext(c, next)
	return page, err
}

// readPage reads the parameters of a list.
func readPage(c *admin.Call) (before int64, limit int, err error) {
	limit = 50
	if text := c.Query.Get("before"); text != "" {
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return 0, 0, admin.Invalid("before", "want the number of the link to the next page, not %q", text)
		}
	}
	if text := c.Query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MostRows {
			return 0, 0, admin.Invalid("limit", "want a number from 1 to %d, not %q", MostRows, text)
		}
	}
	return before, limit, nil
}

func setNext(c *admin.Call, next int64) {
	if next > 0 {
		c.Next = strconv.FormatInt(next, 10)
	}
}

// The parameters of a list of decisions are those of `umpire decisions list`.
func (q *DecisionQuery) texts() map[string]*string {
	return map[string]*string{
		"user": &q.User, "subject": &q.Subject, "client": &q.Client, "resource": &q.Resource, "outcome": &q.Outcome,
		"rule": &q.Rule, "request-id": &q.Request, "revision": &q.Revision,
	}
}

func (q *DecisionQuery) times() map[string]*time.Time {
	return map[string]*time.Time{"since": &q.Since, "until": &q.Until}
}

var queryParams = []string{"user", "subject", "client", "resource", "outcome", "rule", "request-id", "revision", "since", "until"}

// values are the parameters of a query.
func (q *DecisionQuery) values() url.Values {
	values := url.Values{}
	for name, text := range q.texts() {
		if *text != "" {
			values.Set(name, *text)
		}
	}
	for name, at := range q.times() {
		if !at.IsZero() {
			values.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return values
}

// readQuery reads the parameters of a query.
func readQuery(c *admin.Call) (*DecisionQuery, error) {
	q := &DecisionQuery{Realm: c.Realm}
	for name, to := range q.texts() {
		*to = c.Query.Get(name)
	}
	for name, to := range q.times() {
		if err := readTime(c, name, to); err != nil {
			return nil, err
		}
	}
	switch {
	case q.User != "" && q.Subject != "":
		return nil, admin.Invalid("subject", "and user both name the requesting party: give one of them")
	case q.Outcome != "" && !slices.Contains(Outcomes, q.Outcome):
		return nil, admin.Invalid("outcome", "want one of %s, not %q", strings.Join(Outcomes, ", "), q.Outcome)
	}
	return q, nil
}

func readTime(c *admin.Call, name string, to *time.Time) error {
	text := c.Query.Get(name)
	if text == "" {
		return nil
	}
	var err error
	if *to, err = time.Parse(time.RFC3339, text); err != nil {
		return admin.Invalid(name, "want a time such as 2026-11-22T12:00:00Z, not %q", text)
	}
	return nil
}

func (l *Local) decisions(ctx context.Context, c *admin.Call) (any, error) {
	q, err := readQuery(c)
	if err != nil {
		return nil, err
	}
	before, limit, err := readPage(c)
	if err != nil {
		return nil, err
	}
	page, next, err := l.Decisions(ctx, q, before, limit)
	setNext(c, next)
	return page, err
}

func (l *Local) decision(ctx context.Context, c *admin.Call) (any, error) {
	sources, err := readBool(c, "sources")
	if err != nil {
		return nil, err
	}
	d, err := l.Decision(ctx, c.Realm, c.ID, sources)
	if err != nil {
		return nil, err
	}
	c.Detail = "decision " + d.ID
	return d, nil
}

func (l *Local) explain(ctx context.Context, c *admin.Call) (any, error) {
	now, err := readBool(c, "now")
	if err != nil {
		return nil, err
	}
	trace, err := readBool(c, "trace")
	if err != nil {
		return nil, err
	}
	why, err := l.Explain(ctx, c.Realm, c.ID, now, trace)
	if err != nil {
		return nil, err
	}
	c.Detail = "decision " + why.ID
	return why, nil
}
