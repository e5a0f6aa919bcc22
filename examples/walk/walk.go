// Package walk makes the HTTP requests of an example's story and prints them with their answers.
package walk

import (
	"bytes"
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

// A Walk prints exchanges. Tokens and other long values are abbreviated.
type Walk struct {
	Out io.Writer

	// Decision returns the decisions since the last call, each in a few words.
	Decision func(context.Context) ([]string, error)

	printing error // the first error of Out
}

// Err returns the first error of Out.
func (w *Walk) Err() error { return w.printing }

// Chapter prints what comes next.
func (w *Walk) Chapter(text string) { w.printf("\n%s\n\n", text) }

// Challenge makes a request that a resource server answers with a ticket (UMA Grant §3.2).
func (w *Walk) Challenge(ctx context.Context, method, target, bearer string, body any) (ticket string, err error) {
	answer, err := w.Show(ctx, method, target, bearer, body)
	if err != nil {
		return "", err
	}
	if err := answer.Want(http.StatusUnauthorized); err != nil {
		return "", err
	}
	m := regexp.MustCompile(`ticket="([^"]+)"`).FindStringSubmatch(answer.Header.Get("WWW-Authenticate"))
	if m == nil {
		return "", fmt.Errorf("no ticket in %q", answer.Header.Get("WWW-Authenticate"))
	}
	return m[1], nil
}

// Trade sends a request of the UMA grant to a realm and shows the decisions. An answer with another status is an error.
func (w *Walk) Trade(ctx context.Context, realm, bearer string, form url.Values, status int) (*Exchange, error) {
	form.Set("grant_type", "urn:ietf:params:oauth:grant-type:uma-ticket")
	answer, err := w.Show(ctx, "POST", realm+"/protocol/openid-connect/token", bearer, form)
	if err != nil {
		return nil, err
	}
	if err := w.Decisions(ctx); err != nil {
		return nil, err
	}
	return answer, answer.Want(status)
}

// Decisions shows the decisions since the last time.
func (w *Walk) Decisions(ctx context.Context) error {
	records, err := w.Decision(ctx)
	for _, r := range records {
		w.printf("  record %s\n", r)
	}
	return err
}

// printf prints to Out until that fails.
func (w *Walk) printf(format string, args ...any) {
	if w.printing == nil {
		_, w.printing = fmt.Fprintf(w.Out, format, args...)
	}
}

// An Exchange is a request and its answer.
type Exchange struct {
	Request string // method and URL
	Status  int
	Header  http.Header
	Body    []byte
}

// Text returns a member of the answer; empty if it is not there, or no text.
func (x *Exchange) Text(member string) string {
	var m map[string]any
	_ = json.Unmarshal(x.Body, &m) // callers check the status, too
	s, _ := m[member].(string)
	return s
}

// Want returns an error if the answer has another status.
func (x *Exchange) Want(status int) error {
	if x.Status != status {
		return fmt.Errorf("%s: want status %d, got %d: %s", x.Request, status, x.Status, readable(x.Body))
	}
	return nil
}

// Show makes a request and prints it with its answer.
func (w *Walk) Show(ctx context.Context, method, target, bearer string, body any) (*Exchange, error) {
	x, err := Call(ctx, method, target, bearer, body)
	if err != nil {
		return nil, err
	}
	w.printf("  > %s\n", x.Request)
	if bearer != "" {
		w.printf("  > Authorization: Bearer %s\n", short(bearer))
	}
	switch b := body.(type) {
	case url.Values:
		for _, name := range slices.Sorted(maps.Keys(b)) {
			w.printf("  > %s=%s\n", name, short(b.Get(name)))
		}
	case nil:
	default:
		raw, _ := json.Marshal(b) // Call has encoded it without an error
		w.printf("  > %s\n", raw)
	}
	w.printf("  < %d %s\n", x.Status, http.StatusText(x.Status))
	if h := x.Header.Get("WWW-Authenticate"); h != "" {
		w.printf("  < WWW-Authenticate: %s\n", h)
	}
	if len(x.Body) > 0 && x.Header.Get("WWW-Authenticate") == "" {
		w.printf("  < %s\n", readable(x.Body))
	}
	return x, nil
}

// Call makes a request. Its body is a form (url.Values), JSON, or empty.
func Call(ctx context.Context, method, target, bearer string, body any) (*Exchange, error) {
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
	return &Exchange{Request: method + " " + target, Status: res.StatusCode, Header: res.Header, Body: bytes.TrimSpace(answer)}, err
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
