package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// credentials are how a request says who asks. The zero value says nothing.
type credentials struct {
	bearer string // an access token
	client string // a client that authenticates by basic authentication
}

func bearer(token string) credentials { return credentials{bearer: token} }
func basic(client string) credentials { return credentials{client: client} }

// A request is what a test sends. Exactly one of form, json and body is its
// content.
type request struct {
	method  string
	url     string // under base() when it begins with a slash, or absolute
	as      credentials
	query   url.Values
	form    pairs
	json    any
	body    string
	headers map[string]string
}

// pairs are form parameters in order, with repeats.
type pairs [][2]string

// form makes pairs of name, value, name, value...
func form(kv ...string) pairs {
	var p pairs
	for pair := range slices.Chunk(kv, 2) {
		p = append(p, [2]string{pair[0], pair[1]})
	}
	return p
}

func (p pairs) encode() string {
	var out []string
	for _, kv := range p {
		out = append(out, url.QueryEscape(kv[0])+"="+url.QueryEscape(kv[1]))
	}
	return strings.Join(out, "&")
}

// A response is what came back, read whole.
type response struct {
	status int
	header http.Header
	raw    []byte
	json   any // nil when the body is empty or no JSON
}

// String shows a response in failure messages.
func (r *response) String() string {
	raw := string(r.raw)
	if len(raw) > 2000 {
		raw = raw[:2000] + "..."
	}
	return fmt.Sprintf("%d %s", r.status, raw)
}

// object is the body as a JSON object; empty when it is none.
func (r *response) object() map[string]any {
	m, _ := r.json.(map[string]any)
	return m
}

// str is a string member of the body; empty when there is none.
func (r *response) str(name string) string {
	s, _ := r.object()[name].(string)
	return s
}

// expect fails unless the answer has this status and, in its body, this error
// and description. An empty error wants no error, an empty description any.
func (r *response) expect(t testing.TB, status int, code, description string) {
	t.Helper()
	if r.status != status || r.str("error") != code {
		t.Errorf("got %s\nwant %d %s %q", r, status, code, description)
		return
	}
	if description != "" && r.str("error_description") != description {
		t.Errorf("got error_description %q, want %q", r.str("error_description"), description)
	}
}

// client keeps no cookies and follows no redirects: a server that answers with
// one is told apart from one that does not.
var client = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request and reads the answer.
func (e *env) do(t testing.TB, r request) *response {
	t.Helper()
	return e.roundTrip(t, e.newRequest(t, r))
}

func (e *env) newRequest(t testing.TB, r request) *http.Request {
	t.Helper()
	target := r.url
	if strings.HasPrefix(target, "/") || target == "" {
		target = e.base() + target
	}
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	content, contentType := r.body, ""
	switch {
	case r.form != nil:
		content, contentType = r.form.encode(), "application/x-www-form-urlencoded"
	case r.json != nil:
		text, err := json.Marshal(r.json)
		if err != nil {
			t.Fatal(err)
		}
		content, contentType = string(text), "application/json"
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, target, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	switch {
	case r.as.bearer != "":
		req.Header.Set("Authorization", "Bearer "+r.as.bearer)
	case r.as.client != "":
		req.SetBasicAuth(url.QueryEscape(r.as.client), url.QueryEscape(secrets[r.as.client]))
	}
	for name, value := range r.headers {
		req.Header.Set(name, value)
	}
	return req
}

// roundTrip fails, but does not end the test, when there is no answer: it may
// run in a goroutine of its own.
func (e *env) roundTrip(t testing.TB, req *http.Request) *response {
	t.Helper()
	res, err := attempt(req)
	if err != nil {
		t.Errorf("%s %s: %v", req.Method, req.URL.Path, err)
		return &response{}
	}
	return res
}

func attempt(req *http.Request) (*response, error) {
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	out := &response{status: res.StatusCode, header: res.Header}
	if out.raw, err = io.ReadAll(res.Body); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(bytes.TrimSpace(out.raw)) > 0 && json.Unmarshal(out.raw, &out.json) != nil {
		out.json = nil
	}
	return out, nil
}

// get asks for a path of the realm.
func (e *env) get(t testing.TB, path string, as credentials, query ...string) *response {
	t.Helper()
	q := url.Values{}
	for _, kv := range form(query...) {
		q.Add(kv[0], kv[1])
	}
	return e.do(t, request{method: "GET", url: path, as: as, query: q})
}

// post sends a form to a path of the realm.
func (e *env) post(t testing.TB, path string, as credentials, kv ...string) *response {
	t.Helper()
	p := form(kv...)
	if p == nil {
		p = pairs{}
	}
	return e.do(t, request{method: "POST", url: path, as: as, form: p})
}

// send sends JSON to a path of the realm.
func (e *env) send(t testing.TB, method, path string, as credentials, body any) *response {
	t.Helper()
	return e.do(t, request{method: method, url: path, as: as, json: body})
}

// uma sends a UMA grant. Without a ticket among the parameters, the audience is
// photoz-api unless it is named.
func (e *env) uma(t testing.TB, as credentials, kv ...string) *response {
	t.Helper()
	p := form(append([]string{"grant_type", umaGrant}, kv...)...)
	named := func(name string) bool {
		return slices.ContainsFunc(p, func(kv [2]string) bool { return kv[0] == name })
	}
	if !named("ticket") && !named("audience") {
		p = append(p, [2]string{"audience", "photoz-api"})
	}
	return e.do(t, request{method: "POST", url: tokenPath, as: as, form: p})
}

// payload is what a JWT says, its signature unchecked.
func payload(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts: %q", len(parts), token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("token %q: %v", token, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatalf("token %q: %v", raw, err)
	}
	return claims
}

// granted is what an RPT or an answer of response_mode=permissions grants, a
// line each, in order: `Holiday album: view comment`. A permission without a
// resource is `#view`, a resource without scopes its name alone, and one whose
// name is left out is known by its id.
func granted(t testing.TB, res *response) []string {
	t.Helper()
	list, _ := res.json.([]any)
	if token := res.str("access_token"); token != "" {
		authorization, _ := payload(t, token)["authorization"].(map[string]any)
		list, _ = authorization["permissions"].([]any)
	}
	lines := []string{}
	for _, item := range list {
		p, _ := item.(map[string]any)
		name, _ := p["rsname"].(string)
		if id, _ := p["rsid"].(string); name == "" {
			name = id
		}
		var scopes []string
		for _, s := range asList(p["scopes"]) {
			scopes = append(scopes, fmt.Sprint(s))
		}
		switch {
		case name == "":
			lines = append(lines, "#"+strings.Join(scopes, ","))
		case len(scopes) == 0:
			lines = append(lines, name)
		default:
			lines = append(lines, name+": "+strings.Join(scopes, " "))
		}
	}
	return lines
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}

// expectGranted fails unless the answer grants exactly these permissions, in
// this order, with scopes in any order (see granted).
func (r *response) expectGranted(t testing.TB, want ...string) {
	t.Helper()
	if r.status != 200 {
		t.Errorf("got %s\nwant 200 with %q", r, want)
		return
	}
	got := granted(t, r)
	if !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got granted %q, want %q", got, want)
	}
}

// samePermission compares two lines of granted, scopes in any order.
func samePermission(a, b string) bool {
	sorted := func(s string) string {
		i := strings.LastIndex(s, ": ")
		if i < 0 {
			return s
		}
		scopes := strings.Fields(s[i+2:])
		slices.Sort(scopes)
		return s[:i] + ": " + strings.Join(scopes, " ")
	}
	return sorted(a) == sorted(b)
}

// expectGrantedInAnyOrder is expectGranted for answers whose order says nothing.
func (r *response) expectGrantedInAnyOrder(t testing.TB, want ...string) {
	t.Helper()
	if r.status != 200 {
		t.Errorf("got %s\nwant 200 with %q", r, want)
		return
	}
	got := granted(t, r)
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.EqualFunc(got, want, samePermission) {
		t.Errorf("got granted %q, want %q", got, want)
	}
}

// pushed is a claim_token of the jwt format: base64url of JSON.
func pushed(t testing.TB, claims any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}
