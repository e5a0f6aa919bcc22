package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/umpire/node"
	"example.com/umpire/uma"
)

const (
	tokenPath      = "/realms/photoz/protocol/openid-connect/token"
	permissionPath = "/realms/photoz/authz/protection/permission"
	form           = "Content-Type: application/x-www-form-urlencoded\r\n"
	umaGrant       = "urn:ietf:params:oauth:grant-type:uma-ticket"
)

// measureUmpire measures the server with n resources, signing with RS256 and
// with ES256. The figures at the first size are kept in first, to compare with.
func measureUmpire(ctx context.Context, s setting, dir string, n int, opa map[int]float64, first map[string]float64) error {
	var rows [][]string
	var notes []string
	for _, alg := range []string{"RS256", "ES256"} {
		m := &measurement{setting: s, dir: filepath.Join(dir, fmt.Sprintf("%s-%d", alg, n)), alg: alg, opa: opa, first: first}
		if err := m.prepare(ctx, n); err != nil {
			return err
		}
		if err := m.measure(ctx); err != nil {
			return err
		}
		rows, notes = append(rows, m.rows...), append(notes, m.notes...)
		if err := os.RemoveAll(m.dir); err != nil {
			return err
		}
	}
	table(fmt.Sprintf("umpire, %d resources", n),
		[]string{"what", "callers", "per second", "p50", "p99", "x opa", fmt.Sprintf("x at %d", s.sizes[0])}, rows)
	fmt.Println(strings.Join(notes, "\n") + "\n")
	return nil
}

// A measurement is that of one server on one data folder.
type measurement struct {
	setting
	dir, alg string
	opa      map[int]float64
	first    map[string]float64
	ids      []uma.ResourceID
	addr     string
	rows     [][]string
	notes    []string
}

// prepare makes the data folder: the photoz realm, and resources of its resource
// server.
func (m *measurement) prepare(ctx context.Context, n int) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	text, err := os.ReadFile("tests/testdata/photoz/realm.yaml")
	if err != nil {
		return err
	}
	policy, err := filepath.Abs(policyFolder)
	if err != nil {
		return err
	}
	realm := strings.NewReplacer("./policies", policy, "RS256", m.alg).Replace(string(text))
	if err := os.WriteFile(m.realmFile(), []byte(realm), 0o600); err != nil {
		return err
	}
	nd, err := node.Open(ctx, node.Config{Data: m.data(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return err
	}
	defer nd.Close()
	if err := nd.Load(ctx, []string{m.realmFile()}, os.Getenv); err != nil {
		return err
	}
	return m.fill(ctx, nd, n)
}

func (m *measurement) realmFile() string { return filepath.Join(m.dir, "realm.yaml") }
func (m *measurement) data() string      { return filepath.Join(m.dir, "data") }

// fill registers boards, many at the same time so that they share commits.
func (m *measurement) fill(ctx context.Context, nd *node.Node, n int) error {
	snap, err := nd.Store.Snapshot(ctx, "photoz", time.Now())
	if err != nil {
		return err
	}
	rs := snap.Clients["photoz-api"]
	m.ids = make([]uma.ResourceID, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	for range 128 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				m.ids[i] = uma.ResourceID(uuid.NewString())
				err := nd.Store.CreateResource(ctx, &uma.Resource{
					ID: m.ids[i], Server: rs.Key, Owner: rs.UUID, Name: fmt.Sprintf("Board %d", i), Type: "board",
					URIs: []string{fmt.Sprintf("/boards/%d", i)}, Scopes: []uma.Scope{"view", "post"},
					Attributes: map[string][]string{"visibility": {"public"}}, Origin: uma.FromAPI,
				}, uuid.NewString)
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// start starts the server on the prepared folder.
func (m *measurement) start(ctx context.Context) (*process, error) {
	var err error
	if m.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return launch(ctx, m.dir, "http://"+admin+"/readyz", m.umpire, "serve", "--data", m.data(), "--realm", m.realmFile(),
		"--listen", m.addr, "--admin-listen", admin, "--log-level", "warn")
}

func (m *measurement) measure(ctx context.Context) error {
	p, err := m.start(ctx)
	if err != nil {
		return err
	}
	if err := p.stop(); err != nil {
		return err
	}
	if p, err = m.start(ctx); err != nil {
		return err
	}
	defer p.stop() //nolint:errcheck // its end is not what is measured
	bob, err := m.token("grant_type=password&client_id=photoz-web&username=bob&password=bob")
	if err != nil {
		return err
	}
	pat, err := m.token("grant_type=client_credentials&client_id=photoz-api&client_secret=secret")
	if err != nil {
		return err
	}
	for _, callers := range m.callers {
		if m.alg == "RS256" { // signing has no part in decisions
			if err := m.add(ctx, "decisions", callers, m.opa[callers], m.decision(bob)); err != nil {
				return err
			}
		}
		if err := m.add(ctx, "ticket to RPT, "+m.alg, callers, 0, m.roundTrip(bob, pat)); err != nil {
			return err
		}
	}
	m.notes = append(m.notes, fmt.Sprintf("umpire (%s): %s resident after the load, ready %s after its second start", m.alg, p.resident(), p.ready.Round(time.Millisecond)))
	return nil
}

// token obtains an access token.
func (m *measurement) token(body string) (string, error) {
	res, err := http.Post("http://"+m.addr+tokenPath, "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var out struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(raw, &out); err != nil || out.Token == "" {
		return "", fmt.Errorf("no token: %s", raw)
	}
	return out.Token, nil
}

// add runs a script and notes the figure, beside OPA's and that at the first size.
func (m *measurement) add(ctx context.Context, what string, callers int, opa float64, s script) error {
	f, err := load(ctx, m.addr, callers, m.each, s)
	if err != nil {
		return fmt.Errorf("%s, %d callers: %w", what, callers, err)
	}
	row := append([]string{what, fmt.Sprint(callers)}, f.cells()...)
	key := what + fmt.Sprint(callers)
	if m.first[key] == 0 {
		m.first[key] = f.perSecond
	}
	beside := ""
	if opa > 0 {
		beside = fmt.Sprintf("%.2f", f.perSecond/opa)
	}
	m.rows = append(m.rows, append(row, beside, fmt.Sprintf("%.2f", f.perSecond/m.first[key])))
	return nil
}

// decision asks for a decision about one of the resources.
func (m *measurement) decision(bob string) script {
	headers := form + "Authorization: Bearer " + bob + "\r\n"
	return func(c *conn, caller, turn int) error {
		id := m.ids[(caller*7919+turn*104729)%len(m.ids)]
		body := url.Values{
			"grant_type": {umaGrant}, "audience": {"photoz-api"}, "response_mode": {"decision"}, "permission": {string(id) + "#view"},
		}.Encode()
		_, err := c.send("POST", tokenPath, headers, body, 200)
		return err
	}
}

// roundTrip asks for a ticket and trades it for an RPT: two requests.
func (m *measurement) roundTrip(bob, pat string) script {
	asServer := "Content-Type: application/json\r\nAuthorization: Bearer " + pat + "\r\n"
	asBob := form + "Authorization: Bearer " + bob + "\r\n"
	return func(c *conn, caller, turn int) error {
		id := m.ids[(caller*7919+turn*104729)%len(m.ids)]
		raw, err := c.send("POST", permissionPath, asServer, `[{"resource_id":"`+string(id)+`","resource_scopes":["view"]}]`, 201)
		if err != nil {
			return err
		}
		var out struct {
			Ticket string `json:"ticket"`
		}
		if err := json.Unmarshal(raw, &out); err != nil {
			return err
		}
		_, err = c.send("POST", tokenPath, asBob, "grant_type="+url.QueryEscape(umaGrant)+"&ticket="+out.Ticket, 200)
		return err
	}
}
