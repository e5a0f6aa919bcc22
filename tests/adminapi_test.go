package tests

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// An operator has tokens of the admin API of a server.
type operator struct {
	*env
	db     uma.AdminTokens
	tokens *admin.Tokens
}

func (e *env) operator(t testing.TB) *operator {
	t.Helper()
	db, err := openStore(t, e.Data, false, e.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &operator{e, db, &admin.Tokens{Store: db, Now: e.Clock.Now, NewID: uuid.NewString}}
}

// token makes a token for the realm of the server.
func (o *operator) token(t testing.TB, name string, right uma.AdminRight, expires time.Time) string {
	t.Helper()
	secret, err := o.tokens.Create(t.Context(), &uma.AdminToken{Realm: o.Realm, Name: name, Right: right, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// call sends a request to the admin API.
func (o *operator) call(t testing.TB, method, path, token, body string, query ...string) *response {
	t.Helper()
	r := request{method: method, url: o.Admin + path, body: body, headers: map[string]string{}, query: url.Values{}}
	for pair := range slices.Chunk(query, 2) {
		r.query.Add(pair[0], pair[1])
	}
	if token != "" {
		r.headers["Authorization"] = "Bearer " + token
	}
	return o.do(t, r)
}

// get reads from the admin API of the server's realm.
func (o *operator) get(t testing.TB, token, path string, query ...string) *response {
	t.Helper()
	return o.call(t, http.MethodGet, "/v1/realms/"+o.Realm+path, token, "", query...)
}

// uses are the recorded uses, newest first, as name, operation and outcome.
func (o *operator) uses(t testing.TB) (lines []string) {
	t.Helper()
	found, err := o.db.FindAdminUses(t.Context(), uma.AdminUseFilter{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range found {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", u.Name, u.Operation, u.Outcome))
	}
	return lines
}

// wantRefused checks a refusal of the admin API.
func wantRefused(t testing.TB, res *response, status int, code, message string) {
	t.Helper()
	if res.status != status || res.str("error") != code || !strings.Contains(res.str("message"), message) || res.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s, want %d %s with %q, not to be stored", res, status, code, message)
	}
}

// TestAdminAPIAuthentication: nothing is told without a token that is known, for the realm,
// and has the right; every use of a token is on record.
func TestAdminAPIAuthentication(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	o := e.operator(t)
	expires := e.Clock.Now().Add(time.Hour)
	reader, deployer := o.token(t, "reader", uma.AdminRead, expires), o.token(t, "deployer", uma.AdminPolicy, time.Time{})

	for _, wrong := range []string{"", "wrong", reader + "x", strings.Repeat("x", 5000), e.token(t, "alice", "photoz-app")} {
		res := o.get(t, wrong, "/policy")
		wantRefused(t, res, 401, "unauthorized", "token")
		if got := res.header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
			t.Errorf("got WWW-Authenticate %q", got)
		}
	}
	for _, headers := range []map[string]string{{"Authorization": "Basic " + reader}, {"Cookie": "token=" + reader}} {
		wantRefused(t, o.do(t, request{method: "GET", url: e.Admin + "/v1/realms/photoz/policy", headers: headers}), 401, "unauthorized", "token")
	}
	wantRefused(t, o.call(t, "GET", "/v1/realms/photoz/policy", "", "", "access_token", reader), 401, "unauthorized", "token")
	if uses := o.uses(t); len(uses) != 0 {
		t.Errorf("got uses %q of nothing", uses)
	}

	res := o.call(t, "GET", "/v1/token", reader, "")
	if res.status != 200 || res.str("realm") != "photoz" || res.str("name") != "reader" || res.str("can") != "read" {
		t.Errorf("got %s", res)
	}
	for _, secret := range []string{reader, deployer} {
		if res := o.get(t, secret, "/policy"); res.status != 200 || res.str("realm") != "photoz" || res.header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %s", res)
		}
	}
	for _, realm := range []string{"other", "nowhere", "Photoz", "photoz%2F", "%70hotoz"} {
		res := o.call(t, "GET", "/v1/realms/"+realm+"/policy", reader, "")
		if realm == "%70hotoz" {
			if res.status != 200 {
				t.Errorf("%s: got %s", realm, res)
			}
			continue
		}
		wantRefused(t, res, 403, "insufficient_right", "the token is for realm photoz")
	}
	wantRefused(t, o.get(t, reader, "/policy", "limit", "1"), 400, "invalid_request", "no such parameter")
	wantRefused(t, o.get(t, reader, "/policy/history", "limit", "0"), 400, "invalid_request", "from 1 to 200")
	wantRefused(t, o.get(t, reader, "/policy/history", "limit", ""), 400, "invalid_request", "is empty")
	wantRefused(t, o.get(t, reader, "/policy/history", "before", "x"), 400, "invalid_request", "the number of the link")
	wantRefused(t, o.call(t, "GET", "/v1/realms/photoz/policy", reader, "body"), 400, "invalid_request", "no body")
	wantRefused(t, o.call(t, "GET", "/v1/elsewhere", reader, ""), 404, "not_found", "no such operation")
	wantRefused(t, o.call(t, "DELETE", "/v1/realms/photoz/policy", reader, ""), 405, "invalid_request", "no such operation")
	if res := o.call(t, "OPTIONS", "/v1/realms/photoz/policy", "", ""); res.header.Get("Access-Control-Allow-Origin") != "" || res.header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("a preflight: got %s %v", res, res.header)
	}
	if uses := o.uses(t); len(uses) != 13 || uses[12] != "reader: token: ok" || uses[11] != "reader: policy status: ok" ||
		uses[10] != "deployer: policy status: ok" || uses[9] != "reader: policy status: insufficient_right" || uses[0] != "reader: policy status: invalid_request" {
		t.Errorf("got uses %q", uses)
	}

	e.Clock.Advance(time.Hour)
	wantRefused(t, o.get(t, reader, "/policy"), 401, "unauthorized", "expired")
	if _, err := o.db.RevokeAdminToken(t.Context(), "photoz", "deployer", e.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, o.get(t, deployer, "/policy"), 401, "unauthorized", "revoked")
	if uses := o.uses(t); len(uses) != 13 {
		t.Errorf("got uses %q of tokens that have ended", uses)
	}

	log := string(readFile(t, filepath.Join(e.Data, "server.log")))
	metrics := string(e.admin(t, "/metrics").raw)
	for _, secret := range []string{reader, deployer} {
		if strings.Contains(log+metrics, secret[:40]) || strings.Contains(log+metrics, secret[len(secret)-20:]) {
			t.Error("a token is in the log or in the metrics")
		}
	}
	for _, line := range []string{
		`umpire_admin_requests_total{operation="policy status",outcome="ok"} 3`,
		`umpire_admin_requests_total{operation="policy status",outcome="insufficient_right"} 4`,
		`umpire_admin_requests_total{operation="token",outcome="ok"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("metrics have no line %s", line)
		}
	}
	if !strings.Contains(log, `"msg":"admin request"`) || !strings.Contains(log, `"token":"reader"`) {
		t.Error("the log has no line of a use")
	}
}

// TestAdminAPIGuesses: an address that presents wrong tokens waits, but not with a token that
// was right there before.
func TestAdminAPIGuesses(t *testing.T) {
	t.Parallel()
	e := start(t, behindProxy, func(o *options) { o.Limits.FailedSecrets = 3 })
	o := e.operator(t)
	known, other := o.token(t, "known", uma.AdminRead, time.Time{}), o.token(t, "other", uma.AdminRead, time.Time{})
	from := func(address, token string) *response {
		t.Helper()
		return o.do(t, request{method: "GET", url: e.Admin + "/v1/token", headers: map[string]string{
			"X-Forwarded-For": address, "Authorization": "Bearer " + token,
		}})
	}
	if res := from("203.0.113.7", known); res.status != 200 {
		t.Fatalf("got %s", res)
	}
	for range 3 {
		wantRefused(t, from("203.0.113.7", "umpire_admin_guess"), 401, "unauthorized", "not known")
	}
	for _, token := range []string{"umpire_admin_guess", other} {
		res := from("203.0.113.7", token)
		wantRefused(t, res, 429, "too_many_requests", "wrong tokens")
		if got := res.header.Get("Retry-After"); got != "60" {
			t.Errorf("got Retry-After %q", got)
		}
	}
	for _, test := range [][2]string{{"203.0.113.7", known}, {"203.0.113.8", other}} {
		if res := from(test[0], test[1]); res.status != 200 {
			t.Errorf("from %s: got %s", test[0], res)
		}
	}
	e.Clock.Advance(time.Minute)
	if res := from("203.0.113.7", other); res.status != 200 {
		t.Errorf("after a minute: got %s", res)
	}
}

// archive makes a bundle file with one entry of a size, filled with blanks.
func archive(t testing.TB, name string, size int64) string {
	t.Helper()
	var b bytes.Buffer
	packed := gzip.NewWriter(&b)
	entries := tar.NewWriter(packed)
	err := entries.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o600})
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	for left := size; left > 0 && err == nil; left -= int64(len(blanks)) {
		_, err = entries.Write(blanks[:min(left, int64(len(blanks)))])
	}
	if err := errors.Join(err, entries.Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAdminAPITexts: what is no text, which some databases cannot be asked for, is refused or
// not found.
func TestAdminAPITexts(t *testing.T) {
	t.Parallel()
	o := start(t).operator(t)
	reader := o.token(t, "reader", uma.AdminRead, time.Time{})
	wantRefused(t, o.get(t, reader, "/decisions", "user", "a\x00"), 400, "invalid_request", "no UTF-8 text")
	wantRefused(t, o.get(t, reader, "/decisions", "user", "\xff"), 400, "invalid_request", "no UTF-8 text")
	wantRefused(t, o.get(t, reader, "/decisions/%00"), 404, "not_found", "there is no decision record")
}

// TestAdminAPIUploads: what cannot be a policy is refused within bounds, changes nothing, and
// leaves nothing.
func TestAdminAPIUploads(t *testing.T) {
	t.Parallel()
	e := start(t)
	o := e.operator(t)
	deployer := o.token(t, "deployer", uma.AdminPolicy, time.Time{})
	before := o.get(t, deployer, "/policy/history")
	const path = "/v1/realms/photoz/policy/activate"
	bomb := archive(t, "data.json", 65<<20)
	if len(bomb) > 1<<20 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for what, test := range map[string]struct {
		body    string
		status  int
		message string
		query   []string
	}{
		"nothing":            {"", 400, "send a bundle file", nil},
		"both":               {"x", 400, "send a bundle file", []string{"revision", "abc"}},
		"an unknown one":     {"", 400, "has no revision", []string{"revision", "abc"}},
		"no archive":         {"package x", 422, "candidate: want a tar archive that is compressed by gzip", nil},
		"half an archive":    {bomb[:len(bomb)/2], 422, "candidate: ", nil},
		"a bomb":             {bomb, 422, "candidate: more than 64 MiB", nil},
		"no policy":          {archive(t, "README.md", 10), 422, "candidate has no policy file", nil},
		"the library":        {archive(t, "umpire/sharing.rego", 10), 422, "is that of the shipped library", nil},
		"a name":             {"x", 400, "printable", []string{"name", "a\nb"}},
		"a time":             {bomb, 400, "want a duration", []string{"confirm", "soon"}},
		"another parameter":  {bomb, 400, "no such parameter", []string{"realm", "other"}},
		"a parameter, twice": {bomb, 400, "is given 2 times", []string{"note", "a", "note", "b"}},
	} {
		query := test.query
		if !slices.Contains(query, "name") {
			query = append([]string{"name", "candidate"}, query...)
		}
		res := o.call(t, "POST", path, deployer, test.body, query...)
		if res.status != test.status || !strings.Contains(res.str("message"), test.message) || strings.Contains(res.str("message"), "umpire-upload") {
			t.Errorf("%s: got %s, want %d with %q", what, res, test.status, test.message)
		}
	}
	huge, err := http.NewRequestWithContext(t.Context(), "POST", e.Admin+path, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	huge.ContentLength = 65 << 20
	huge.Header.Set("Authorization", "Bearer "+deployer)
	huge.Header.Set("Expect", "100-continue")
	wantRefused(t, e.roundTrip(t, huge), 413, "too_large", "more than")
	if after := o.get(t, deployer, "/policy/history"); string(after.raw) != string(before.raw) {
		t.Errorf("got history %s, want %s", after, before)
	}
	if res := o.get(t, deployer, "/policy/history", "limit", "1"); res.header.Get("Link") == "" {
		t.Errorf("a page that is full has no link to the next one: %s", res)
	}
}

// partly sends a request for an operation without the end of its body, and returns the
// connection once the use is on record.
func (o *operator) partly(t testing.TB, path, token string) *net.TCPConn {
	t.Helper()
	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(o.Admin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTCP("tcp", nil, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	before := len(o.uses(t))
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: umpire\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\nhalf", path, token); err != nil {
		t.Fatal(err)
	}
	within1s(t, "a use", func() bool { return len(o.uses(t)) > before })
	return c
}

// TestAdminAPISlowUpload: an upload that does not end delays no rollback. That its client goes
// away is no failure of the server.
func TestAdminAPISlowUpload(t *testing.T) {
	t.Parallel()
	e := start(t)
	o := e.operator(t)
	deployer := o.token(t, "deployer", uma.AdminPolicy, time.Time{})
	slow := o.partly(t, "/v1/realms/photoz/policy/activate", deployer)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r := o.newRequest(t, request{method: "POST", url: o.Admin + "/v1/realms/photoz/policy/rollback", headers: map[string]string{"Authorization": "Bearer " + deployer}})
	wantRefused(t, o.roundTrip(t, r.WithContext(ctx)), 409, "conflict", "no period with another policy")
	if err := errors.Join(slow.SetLinger(0), slow.Close()); err != nil { // reset
		t.Fatal(err)
	}
	within1s(t, "the end of the upload", func() bool { return slices.Contains(o.uses(t), "deployer: policy activate: invalid_request") })
}

// TestAdminAPIOfAnotherRealm: a token of one realm learns nothing of another's decisions, not
// even that they are there.
func TestAdminAPIOfAnotherRealm(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.More = []string{strings.Replace(photozRealm(t), "realm: photoz", "realm: other", 1)}
	})
	o := e.operator(t)
	token, err := o.tokens.Create(t.Context(), &uma.AdminToken{Realm: "other", Name: "reader", Right: uma.AdminRead})
	if err != nil {
		t.Fatal(err)
	}
	record, _ := onlyRecord(t, e.stored(t), func() {
		e.uma(t, e.as(t, "bob", "photoz-app"), "permission", "Public board#view").expectGranted(t, "Public board: view")
	})
	ofOther := func(path string, query ...string) *response {
		t.Helper()
		return o.call(t, "GET", "/v1/realms/other"+path, token, "", query...)
	}
	if res := o.get(t, o.token(t, "own", uma.AdminRead, time.Time{}), "/decisions/"+record.ID); res.status != 200 || res.str("decision_id") != record.ID || at(res.json, "event", "input") == nil {
		t.Errorf("of the realm itself: got %s", res)
	}
	for _, path := range []string{"/decisions/" + record.ID, "/decisions/" + record.ID + "/explanation"} {
		res, none := ofOther(path), ofOther(strings.Replace(path, record.ID, "none", 1))
		wantRefused(t, res, 404, "not_found", "there is no decision record")
		if strings.Replace(string(res.raw), record.ID, "none", 1) != string(none.raw) {
			t.Errorf("got %s, want as for one that is nowhere: %s", res, none)
		}
	}
	if res := ofOther("/decisions"); res.status != 200 || string(res.raw) != "[]\n" {
		t.Errorf("got %s", res)
	}
	for _, query := range [][]string{
		{"subject", record.Subject}, {"revision", record.Revision}, {"request-id", record.Request}, {"user", record.Subject},
	} {
		res := ofOther("/decisions", query...)
		wantRefused(t, res, 400, "invalid_request", "")
		if none := ofOther("/decisions", query[0], "none"); strings.Replace(string(res.raw), query[1], "none", 1) != string(none.raw) {
			t.Errorf("%s: got %s, want as for one that is nowhere: %s", query[0], res, none)
		}
	}
}

// TestAdminAPIResourceNamedByItsID: a search for a resource whose name is its id, or the id of
// another, is a search for the id.
func TestAdminAPIResourceNamedByItsID(t *testing.T) {
	t.Parallel()
	e := start(t, func(o *options) {
		o.Realm = strings.Replace(photozRealm(t), "{name: Public board,", "{id: board, name: board,", 1)
	})
	o := e.operator(t)
	reader := o.token(t, "reader", uma.AdminRead, time.Time{})
	if res := o.get(t, reader, "/decisions", "resource", "board"); res.status != 200 || string(res.raw) != "[]\n" {
		t.Errorf("got %s, want an empty list", res)
	}
}
