package photoz

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Story shows the HTTP exchanges of a UMA flow: a friend views an album, asks the owner
// for more, gets it, and is refused what only the owner may do.
type Story struct {
	AS   string // the issuer: http://127.0.0.1:8080/realms/photoz
	Site string // the resource server: http://127.0.0.1:3001
	Out  io.Writer

	// Decision returns the decisions since the last call, each in a few words.
	Decision func(context.Context) ([]string, error)

	owner, friend string // access tokens
	printing      error  // the first error of Out
}

const umaGrant = "urn:ietf:params:oauth:grant-type:uma-ticket"

// Tell makes the requests and prints them with their answers. An unexpected answer is an
// error.
func (s *Story) Tell(ctx context.Context) error {
	err := s.tell(ctx)
	return cmp.Or(s.printing, err)
}

func (s *Story) tell(ctx context.Context) error {
	var err error
	if s.friend, err = s.signIn(ctx, "bob", "photoz-web", ""); err != nil {
		return err
	}
	if s.owner, err = s.signIn(ctx, "alice", "photoz-api", "photoz-api-secret"); err != nil {
		return err
	}
	rpt, err := s.friendViews(ctx)
	if err != nil {
		return err
	}
	if err := s.friendAsks(ctx, rpt); err != nil {
		return err
	}
	if err := s.ownerApproves(ctx); err != nil {
		return err
	}
	if err := s.friendComments(ctx, rpt); err != nil {
		return err
	}
	return s.nobodyElseDeletes(ctx)
}

// signIn obtains an access token by the password grant, because there is no browser here.
func (s *Story) signIn(ctx context.Context, user, client, secret string) (string, error) {
	form := url.Values{"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {user}}
	if secret != "" {
		form.Set("client_secret", secret)
	}
	answer, err := s.call(ctx, "POST", s.AS+"/protocol/openid-connect/token", "", form)
	if err != nil {
		return "", err
	}
	return answer.str("access_token"), answer.want(http.StatusOK)
}

func (s *Story) friendViews(ctx context.Context) (rpt string, err error) {
	s.chapter("Bob opens Alice's album. Without a token the site sends him to the authorization server, with a ticket.")
	ticket, err := s.challenge(ctx, "GET", "/album/1", "", nil)
	if err != nil {
		return "", err
	}
	s.chapter("He trades the ticket for a requesting party token. The policy: friends view the albums that are for friends.")
	answer, err := s.trade(ctx, url.Values{"ticket": {ticket}}, http.StatusOK)
	if err != nil {
		return "", err
	}
	rpt = answer.str("access_token")
	s.chapter("With the RPT the site lets him in.")
	answer, err = s.show(ctx, "GET", s.Site+"/album/1", rpt, nil)
	if err != nil {
		return "", err
	}
	return rpt, answer.want(http.StatusOK)
}

func (s *Story) friendAsks(ctx context.Context, rpt string) error {
	s.chapter("He writes a comment. The RPT is not good for that: a new ticket, and this time he is refused. Alice is asked.")
	ticket, err := s.challenge(ctx, "POST", "/album/1/comments", rpt, map[string]any{"text": "Lovely!"})
	if err != nil {
		return err
	}
	_, err = s.trade(ctx, url.Values{"ticket": {ticket}, "rpt": {rpt}}, http.StatusForbidden)
	return err
}

func (s *Story) ownerApproves(ctx context.Context) error {
	s.chapter("Alice finds his request, and approves.")
	requests := s.AS + "/authz/protection/permission/ticket"
	answer, err := s.show(ctx, "GET", requests+"?granted=false&returnNames=true", s.owner, nil)
	if err != nil {
		return err
	}
	var pending []map[string]any
	if err := json.Unmarshal(answer.body, &pending); err != nil || len(pending) != 1 {
		return fmt.Errorf("want one pending request, got %s", answer.body)
	}
	pending[0]["granted"] = true
	answer, err = s.show(ctx, "PUT", requests, s.owner, pending[0])
	if err != nil {
		return err
	}
	return answer.want(http.StatusNoContent)
}

func (s *Story) friendComments(ctx context.Context, rpt string) error {
	s.chapter("Bob tries again, and sends the RPT he has: the new one holds both (incremental authorization).")
	ticket, err := s.challenge(ctx, "POST", "/album/1/comments", rpt, map[string]any{"text": "Lovely!"})
	if err != nil {
		return err
	}
	answer, err := s.trade(ctx, url.Values{"ticket": {ticket}, "rpt": {rpt}}, http.StatusOK)
	if err != nil {
		return err
	}
	answer, err = s.show(ctx, "POST", s.Site+"/album/1/comments", answer.str("access_token"), map[string]any{"text": "Lovely!"})
	if err != nil {
		return err
	}
	return answer.want(http.StatusCreated)
}

func (s *Story) nobodyElseDeletes(ctx context.Context) error {
	s.chapter("Deleting is for Alice alone: whatever she shares, the policy denies it, and she is not even asked.")
	ticket, err := s.challenge(ctx, "DELETE", "/album/1", "", nil)
	if err != nil {
		return err
	}
	_, err = s.trade(ctx, url.Values{"ticket": {ticket}}, http.StatusForbidden)
	return err
}

// challenge is a request that the site answers with a ticket (UMA Grant §3.2).
func (s *Story) challenge(ctx context.Context, method, path, bearer string, body any) (ticket string, err error) {
	answer, err := s.show(ctx, method, s.Site+path, bearer, body)
	if err != nil {
		return "", err
	}
	if err := answer.want(http.StatusUnauthorized); err != nil {
		return "", err
	}
	m := regexp.MustCompile(`ticket="([^"]+)"`).FindStringSubmatch(answer.header.Get("WWW-Authenticate"))
	if m == nil {
		return "", fmt.Errorf("no ticket in %q", answer.header.Get("WWW-Authenticate"))
	}
	return m[1], nil
}

// trade presents a ticket as Bob and shows the decision.
func (s *Story) trade(ctx context.Context, form url.Values, status int) (*exchange, error) {
	form.Set("grant_type", umaGrant)
	answer, err := s.show(ctx, "POST", s.AS+"/protocol/openid-connect/token", s.friend, form)
	if err != nil {
		return nil, err
	}
	records, err := s.Decision(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		s.printf("  record %s\n", r)
	}
	return answer, answer.want(status)
}

func (s *Story) chapter(text string) { s.printf("\n%s\n\n", text) }

// printf prints to Out until that fails.
func (s *Story) printf(format string, args ...any) {
	if s.printing == nil {
		_, s.printing = fmt.Fprintf(s.Out, format, args...)
	}
}

// An exchange is a request and its answer.
type exchange struct {
	request string
	status  int
	header  http.Header
	body    []byte
}

func (x *exchange) str(member string) string {
	var m map[string]any
	_ = json.Unmarshal(x.body, &m) // callers check the status, too
	s, _ := m[member].(string)
	return s
}

func (x *exchange) want(status int) error {
	if x.status != status {
		return fmt.Errorf("%s: want status %d, got %d: %s", x.request, status, x.status, x.body)
	}
	return nil
}

// show makes a request and prints it with its answer.
func (s *Story) show(ctx context.Context, method, target, bearer string, body any) (*exchange, error) {
	x, err := s.call(ctx, method, target, bearer, body)
	if err != nil {
		return nil, err
	}
	s.printf("  > %s\n", x.request)
	if bearer != "" {
		s.printf("  > Authorization: Bearer %s\n", short(bearer))
	}
	switch b := body.(type) {
	case url.Values:
		for _, name := range slices.Sorted(maps.Keys(b)) {
			s.printf("  > %s=%s\n", name, short(b.Get(name)))
		}
	case nil:
	default:
		raw, _ := json.Marshal(b) // call has encoded it without an error
		s.printf("  > %s\n", raw)
	}
	s.printf("  < %d %s\n", x.status, http.StatusText(x.status))
	if h := x.header.Get("WWW-Authenticate"); h != "" {
		s.printf("  < WWW-Authenticate: %s\n", h)
	}
	if len(x.body) > 0 && x.header.Get("WWW-Authenticate") == "" {
		s.printf("  < %s\n", readable(x.body))
	}
	return x, nil
}

// call makes a request. Its body is a form (url.Values), JSON, or empty.
func (s *Story) call(ctx context.Context, method, target, bearer string, body any) (*exchange, error) {
	var content string
	var raw []byte
	switch b := body.(type) {
	case nil:
	case url.Values:
		content, raw = "application/x-www-form-urlencoded", []byte(b.Encode())
	default:
		var err error
		if raw, err = json.Marshal(b); err != nil {
			return nil, err
		}
		content = "application/json"
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if content != "" {
		req.Header.Set("Content-Type", content)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // ReadAll has the errors
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return &exchange{request: method + " " + target, status: res.StatusCode, header: res.Header, body: bytes.TrimSpace(answer)}, err
}

// short abbreviates a token or another long value.
func short(s string) string {
	if len(s) > 48 {
		return s[:20] + "…" + s[len(s)-8:]
	}
	return s
}

// readable returns a JSON body with its tokens abbreviated.
func readable(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	if m, ok := v.(map[string]any); ok {
		for name, member := range m {
			if token, ok := member.(string); ok && strings.Count(token, ".") == 2 {
				m[name] = short(token)
			}
		}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // never fails: v was decoded from JSON
	return strings.TrimSpace(out.String())
}
