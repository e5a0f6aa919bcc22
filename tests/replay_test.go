package tests

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A recorded is one case of keycloak-answers.jsonl; testdata/photoz/README.md
// describes it.
type recorded struct {
	Case   string      `json:"case"`
	Fresh  bool        `json:"fresh"`
	Steps  []step      `json:"steps"`
	Umpire []exception `json:"umpire"`
}

type step struct {
	Do      string            `json:"do"`
	Bearer  string            `json:"bearer"`
	Basic   string            `json:"basic"`
	Form    pairs             `json:"form"`
	JSON    json.RawMessage   `json:"json"`
	Query   map[string]string `json:"query"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Status  int               `json:"status"`
	Answer  any               `json:"answer"`
}

// String shows the request as it was recorded, names in the place of secrets.
func (s *step) String() string {
	var b strings.Builder
	b.WriteString(s.Do)
	for _, name := range slices.Sorted(maps.Keys(s.Query)) {
		fmt.Fprintf(&b, "\n    ?%s=%s", name, s.Query[name])
	}
	if s.Bearer != "" {
		fmt.Fprintf(&b, "\n    Authorization: Bearer %s", s.Bearer)
	}
	if s.Basic != "" {
		fmt.Fprintf(&b, "\n    Authorization: Basic %s", s.Basic)
	}
	for _, kv := range s.Form {
		fmt.Fprintf(&b, "\n    %s=%s", kv[0], kv[1])
	}
	if s.JSON != nil {
		fmt.Fprintf(&b, "\n    %s", s.JSON)
	}
	if s.Body != "" {
		fmt.Fprintf(&b, "\n    %s", s.Body)
	}
	return b.String()
}

func readRecorded(t testing.TB) []recorded {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "keycloak-answers.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var cases []recorded
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c recorded
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("line %d: %v", len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestKeycloakAnswers replays what a real Keycloak was asked and answered.
func TestKeycloakAnswers(t *testing.T) {
	t.Parallel()
	cases := readRecorded(t)
	if len(cases) != 114 {
		t.Errorf("read %d cases, want 114", len(cases))
	}
	verbatim := func(o *options) { o.Verbatim = true }
	shared := start(t, verbatim)
	for _, c := range cases {
		t.Run(c.Case, func(t *testing.T) {
			t.Parallel()
			e := shared
			if c.Fresh {
				e = start(t, verbatim)
			}
			replay(t, e, &c)
		})
	}
}

// replay asks every step of a case and compares the answers. It ends at the
// first that is wrong: later ones build on it.
func replay(t *testing.T, e *env, c *recorded) {
	t.Helper()
	r := &replayer{env: e, ids: map[string]string{}}
	r.comparer = comparer{base: e.base(), bound: map[string]string{}, resource: func(name string) string { return r.lookUp(t, name) }}
	for i := range c.Steps {
		s := &c.Steps[i]
		x := c.exception(i)
		res := r.send(t, s)
		wrong := r.answer(x, s.Status, s.Answer, res.status, res.json)
		if len(res.raw) > 0 && !strings.HasPrefix(res.header.Get("Content-Type"), "application/json") {
			wrong = append(wrong, fmt.Sprintf("Content-Type: want application/json, got %q", res.header.Get("Content-Type")))
		}
		if strings.Contains(s.Do, "/.well-known/") {
			wrong = append(wrong, namesOnlyWhatIsServed(t, e, res)...)
		}
		if len(wrong) > 0 {
			t.Fatalf("%s, step %d\n  %s\nwant %s\ngot  %s\n  - %s", c.Case, i, s, wanted(x, s), res, strings.Join(wrong, "\n  - "))
		}
		r.capture(res.json)
	}
}

func (c *recorded) exception(step int) *exception {
	for i := range c.Umpire {
		if c.Umpire[i].Step == step {
			return &c.Umpire[i]
		}
	}
	return nil
}

func wanted(x *exception, s *step) string {
	recorded := fmt.Sprintf("%d %s", s.Status, show(s.Answer))
	if len(recorded) > 2000 {
		recorded = recorded[:2000] + "..."
	}
	if x == nil {
		return recorded
	}
	if !x.replaces() {
		return fmt.Sprintf("%s\n     compared: %s", recorded, x.Compare)
	}
	return fmt.Sprintf("status %v, error %q, error_description %q, permissions %s %s\n     instead of %s",
		x.Status, x.Error, x.Description, show(x.Permissions), x.Why, recorded)
}

// A replayer sends steps to a server and compares what comes back.
type replayer struct {
	comparer
	env *env
	ids map[string]string // of the realm's resources by name
}

// send fills the names of a step in and sends it.
func (r *replayer) send(t *testing.T, s *step) *response {
	t.Helper()
	r.sent = ""
	fill := func(text string) string { return r.fill(t, text) }
	method, address, _ := strings.Cut(s.Do, " ")
	req := request{method: method, url: fill(address), query: url.Values{}, headers: s.Headers, body: s.Body}
	if s.Bearer != "" {
		req.as = bearer(fill(s.Bearer))
	}
	if s.Basic != "" {
		req.as = basic(s.Basic)
	}
	if s.Form != nil {
		req.form = pairs{}
	}
	for _, kv := range s.Form {
		req.form = append(req.form, [2]string{kv[0], fill(kv[1])})
	}
	for name, value := range s.Query {
		req.query.Set(name, fill(value))
	}
	if s.JSON != nil {
		req.json = json.RawMessage(fill(string(s.JSON)))
	}
	return r.env.do(t, req)
}

// fill puts values in the place of names.
func (r *replayer) fill(t *testing.T, text string) string {
	t.Helper()
	text = strings.ReplaceAll(text, "{base}", r.base)
	return placeholder.ReplaceAllStringFunc(text, func(name string) string {
		bare := strings.Trim(name, "<>")
		if bare == "uuid" {
			r.sent = newUUID()
			return r.sent
		}
		if value := r.token(t, bare); value != "" {
			return value
		}
		value := r.known(name)
		if value == "" {
			t.Fatalf("nothing is known of %s", name)
		}
		return value
	})
}

// token gets the tokens that names such as `access token of bob through
// photoz-web, scope openid` stand for.
func (r *replayer) token(t *testing.T, name string) string {
	t.Helper()
	if client, ok := strings.CutPrefix(name, "service account token of "); ok {
		return r.env.serviceToken(t, client)
	}
	kind, rest, ok := strings.Cut(name, " token of ")
	if !ok || kind != "access" && kind != "ID" {
		return ""
	}
	user, rest, _ := strings.Cut(rest, " through ")
	through, scope, _ := strings.Cut(rest, ", scope ")
	if kind == "ID" {
		return r.env.idToken(t, user, through)
	}
	return r.env.signIn(t, user, through, scope).access
}

// lookUp is the id of a resource of the realm by its name, or empty. The
// server is asked once for each name.
func (r *replayer) lookUp(t *testing.T, name string) string {
	t.Helper()
	for _, kind := range []string{"id ", "ticket ", "RPT ", "refresh token "} {
		if strings.HasPrefix(name, kind) {
			return ""
		}
	}
	if id, ok := r.ids[name]; ok {
		return id
	}
	res := r.env.get(t, resourceSet, r.env.service(t, "photoz-api"), "name", name, "exactName", "true")
	ids := asList(res.json)
	if len(ids) == 1 {
		r.ids[name], _ = ids[0].(string)
	}
	return r.ids[name]
}

func newUUID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails, see its documentation
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// namesOnlyWhatIsServed asks for everything that a discovery document names.
func namesOnlyWhatIsServed(t *testing.T, e *env, res *response) []string {
	t.Helper()
	var wrong []string
	for _, address := range named(res.object()) {
		if got := e.do(t, request{method: "GET", url: address}); got.status == 404 {
			wrong = append(wrong, fmt.Sprintf("names %s, which is not served", address))
		}
	}
	for _, grant := range asList(res.object()["grant_types_supported"]) {
		got := e.post(t, tokenPath, basic("photoz-api"), "grant_type", fmt.Sprint(grant))
		if got.str("error") == "unsupported_grant_type" {
			wrong = append(wrong, fmt.Sprintf("names the grant %s, which is not served", grant))
		}
	}
	return wrong
}
