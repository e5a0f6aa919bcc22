package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"example.com/umpire/bundles"
	"example.com/umpire/rollout"
	"example.com/umpire/uma/admin"
)

// Client runs operations over the admin API of a server.
type Client struct {
	URL   string // of the admin listener, without a slash at its end
	Token string
	HTTP  *http.Client

	realm string // that the token is for, once it is known
}

// maxAnswer is how many bytes of an answer are read; those of a stream are not counted.
const maxAnswer = 64 << 20

// Realm returns the realm of that name, or without a name the one that the token is for.
func (c *Client) Realm(ctx context.Context, name string) (string, error) {
	switch {
	case name != "":
		return name, nil
	case c.realm != "":
		return c.realm, nil
	}
	var token struct {
		Realm string `json:"realm"`
	}
	_, err := c.get(ctx, "/v1/token", nil, &token)
	c.realm = token.Realm
	return token.Realm, err
}

// Realms returns what Realm does: a token is for one realm.
func (c *Client) Realms(ctx context.Context, name string) ([]string, error) {
	realm, err := c.Realm(ctx, name)
	return []string{realm}, err
}

// Status returns the policy of a realm.
func (c *Client) Status(ctx context.Context, realm string) (*Status, error) {
	s := new(Status)
	_, err := c.get(ctx, realmPath(realm, "/policy"), nil, s)
	return s, err
}

// History returns a page of periods; see Local.History.
func (c *Client) History(ctx context.Context, realm string, before int64, limit int) (page []HistoryRow, next int64, err error) {
	next, err = c.get(ctx, realmPath(realm, "/policy/history"), pageQuery(nil, before, limit), &page)
	return page, next, err
}

// Decisions returns a page of decision records; see Local.Decisions.
func (c *Client) Decisions(ctx context.Context, q *DecisionQuery, before int64, limit int) (page []DecisionRow, next int64, err error) {
	realm, err := c.Realm(ctx, q.Realm)
	if err != nil {
		return nil, 0, err
	}
	next, err = c.get(ctx, realmPath(realm, "/decisions"), pageQuery(q.values(), before, limit), &page)
	return page, next, err
}

// Decision returns a decision of a realm, or with an empty name of the one that the token is
// for.
func (c *Client) Decision(ctx context.Context, realm, id string, sources bool) (*DecisionDetails, error) {
	d, query := new(DecisionDetails), url.Values{}
	if sources {
		query.Set("sources", "true")
	}
	return d, c.ofDecision(ctx, realm, id, "", query, d)
}

// Explain explains a decision; see Local.Explain.
func (c *Client) Explain(ctx context.Context, realm, id string, now, trace bool) (*rollout.Explanation, error) {
	why, query := new(rollout.Explanation), url.Values{}
	for name, set := range map[string]bool{"now": now, "trace": trace} {
		if set {
			query.Set(name, "true")
		}
	}
	return why, c.ofDecision(ctx, realm, id, "/explanation", query, why)
}

func (c *Client) ofDecision(ctx context.Context, realm, id, path string, query url.Values, v any) error {
	realm, err := c.Realm(ctx, realm)
	if err != nil {
		return err
	}
	_, err = c.get(ctx, realmPath(realm, "/decisions/"+url.PathEscape(id)+path), query, v)
	return err
}

// Activate sends a policy folder or bundle file, or the hash of a stored revision.
func (c *Client) Activate(ctx context.Context, o Order) (*Change, error) {
	query := url.Values{}
	if o.Confirm != 0 {
		query.Set("confirm", o.Confirm.String())
	}
	if o.Revision != "" {
		query.Set("revision", o.Revision)
	}
	body, err := upload(o.Path, query)
	if err != nil {
		return nil, err
	}
	change := new(Change)
	return change, c.order(ctx, o.Realm, "/policy/activate", o.Note, query, body, change)
}

// Rollback asks for the policy of the period before.
func (c *Client) Rollback(ctx context.Context, o Order) (*Change, error) {
	query := url.Values{}
	if o.Revoke {
		query.Set("revoke", "true")
	}
	change := new(Change)
	return change, c.order(ctx, o.Realm, "/policy/rollback", o.Note, query, nil, change)
}

// Confirm keeps a policy that is rolled back otherwise.
func (c *Client) Confirm(ctx context.Context, realm, _ string) (*Period, error) {
	period := new(Period)
	return period, c.order(ctx, realm, "/policy/confirm", "", url.Values{}, nil, period)
}

// Release ends the pin of the policy in force.
func (c *Client) Release(ctx context.Context, realm string) (*Period, error) {
	period := new(Period)
	return period, c.order(ctx, realm, "/policy/release", "", url.Values{}, nil, period)
}

// order sends what changes the policy of a realm.
func (c *Client) order(ctx context.Context, realm, path, note string, query url.Values, body []byte, v any) error {
	if note != "" {
		query.Set("note", note)
	}
	res, err := c.send(ctx, http.MethodPost, realmPath(realm, path), query, body)
	if err == nil {
		err = c.decode(res, v)
	}
	if _, refused := errors.AsType[*admin.Error](err); err != nil && !refused {
		err = fmt.Errorf("%w: see `umpire policy history` whether it was done", err)
	}
	return err
}

// upload returns a bundle file with the policies at a path, and names it in the query.
func upload(path string, query url.Values) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	shown := rollout.Shown(path)
	query.Set("name", shown)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir() && !info.Mode().IsRegular(): // opening a pipe would block
		return nil, &admin.Error{Code: admin.Refused, Message: shown + " is neither a folder nor a bundle file"}
	case info.Size() > bundles.MaxArchive:
		return nil, &admin.Error{Code: admin.Refused, Message: fmt.Sprintf("%s has more than %d bytes", shown, bundles.MaxArchive)}
	case !info.IsDir():
		return os.ReadFile(path)
	}
	var packed bytes.Buffer
	if err := bundles.Pack(path, shown, &packed); err != nil {
		return nil, &admin.Error{Code: admin.Refused, Message: err.Error()}
	}
	return packed.Bytes(), nil
}

func realmPath(realm, path string) string { return "/v1/realms/" + url.PathEscape(realm) + path }

// pageQuery adds the parameters of a list to a query.
func pageQuery(query url.Values, before int64, limit int) url.Values {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", strconv.Itoa(limit))
	if before > 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	return query
}

// get reads an answer into v, and returns where the next page of a list begins, 0 if there
// is none.
func (c *Client) get(ctx context.Context, path string, query url.Values, v any) (next int64, err error) {
	res, err := c.send(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return 0, err
	}
	return nextPage(res.Header), c.decode(res, v)
}

// send sends a request and returns the answer, or what was refused as an *admin.Error.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Response, error) {
	target := c.URL + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/gzip")
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, c.refusal(res)
	}
	return res, nil
}

// refusal reads what a server refused.
func (c *Client) refusal(res *http.Response) error {
	refused := new(admin.Error)
	if err := c.decode(res, refused); err != nil || refused.Message == "" {
		return fmt.Errorf("--server: %s answered %s: is it the admin listener of an umpire server?", c.URL, res.Status)
	}
	switch refused.Code {
	case admin.Unauthorized, admin.Forbidden:
		refused.Param = "token-file"
	case admin.Failed:
		return fmt.Errorf("--server: %s failed: request %s: %w", c.URL, res.Header.Get("X-Request-Id"), refused)
	}
	return refused
}

// decode reads an answer. Numbers keep their digits, so that they are printed as the server
// sent them.
func (c *Client) decode(res *http.Response, v any) error {
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return fmt.Errorf("--server: read the answer of %s: %w", c.URL, err)
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("--server: the answer of %s has more than %d bytes", c.URL, maxAnswer)
	}
	return decodeJSON(text, v)
}

func decodeJSON(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("--server: read the answer: %w", err)
	}
	return nil
}

// nextPage returns the parameter before of a link to the next page (RFC 8288).
func nextPage(h http.Header) int64 {
	target, _, _ := strings.Cut(strings.TrimPrefix(h.Get("Link"), "<"), ">")
	u, err := url.Parse(target)
	if err != nil {
		return 0
	}
	before, err := strconv.ParseInt(u.Query().Get("before"), 10, 64)
	if err != nil {
		return 0
	}
	return before
}
