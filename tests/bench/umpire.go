package main

import (
	"context"
	"encoding/json"
	"errors"
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
	"example.com/umpire/rollout"
	"example.com/umpire/uma"
)

const (
	tokenPath      = "/realms/photoz/protocol/openid-connect/token"
	permissionPath = "/realms/photoz/authz/protection/permission"
	form           = "Content-Type: application/x-www-form-urlencoded\r\n"
	umaGrant       = "urn:ietf:params:oauth:grant-type:uma-ticket"
)

// An umpire is a built server with some resources of one resource server, or of
// one user who shares them.
type umpire struct {
	*process
	binary, dir     string
	n               int
	shadow          bool                // the realm has a shadow policy, the same as its policy
	shared          bool                // alice owns the resources and shares them
	trusted         []map[string]string // keys of an issuer that the realm trusts, as JWKs
	other           string              // what it is called when it is none: a Keycloak over the photoz realm
	ids             []uma.ResourceID
	addr            string
	bob, alice, pat string // access tokens
}

func (u *umpire) name() string {
	if u.other != "" {
		return u.other
	}
	if u.shared {
		return fmt.Sprintf("umpire, %d shares", u.n*len(sharedWith)*len(sharedScopes))
	}
	return fmt.Sprintf("umpire, %d resources", u.n)
}

func (u *umpire) contender(s script) contender { return contender{u.name(), u.addr, s, u.process} }

func (u *umpire) data() string { return filepath.Join(u.dir, "data") }

// realm writes the realm file for a signing algorithm and returns its path.
func (u *umpire) realm(alg string) (string, error) {
	text, err := os.ReadFile("tests/testdata/photoz/realm.yaml")
	if err != nil {
		return "", err
	}
	policy, err := filepath.Abs(policyFolder)
	if err != nil {
		return "", err
	}
	path := filepath.Join(u.dir, "realm.yaml")
	bundle := policy
	if u.shadow {
		bundle += ", shadow: " + policy
	}
	realm := strings.NewReplacer("./policies", bundle, "RS256", alg).Replace(string(text))
	if u.trusted != nil {
		list, err := issuers(u.trusted)
		if err != nil {
			return "", err
		}
		realm += list
	}
	return path, os.WriteFile(path, []byte(realm), 0o600)
}

// fill makes the data folder: the photoz realm and the resources, many at the same
// time so that they share commits.
func (u *umpire) fill(ctx context.Context) (err error) {
	if err := os.MkdirAll(u.dir, 0o700); err != nil {
		return err
	}
	realm, err := u.realm("RS256")
	if err != nil {
		return err
	}
	nd, err := node.Open(ctx, node.Config{Data: u.data(), Examine: rollout.InProcess, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nd.Close()) }()
	realms, err := node.ReadRealms([]string{realm}, os.Getenv)
	if err != nil {
		return err
	}
	if err := nd.Load(ctx, realms); err != nil {
		return err
	}
	snap, err := nd.Store.Snapshot(ctx, "photoz", time.Now())
	if err != nil {
		return err
	}
	rs := snap.Clients["photoz-api"]
	u.ids = make([]uma.ResourceID, u.n)
	for i := range u.ids {
		u.ids[i] = uma.ResourceID(uuid.NewString())
	}
	if u.shared {
		return u.share(ctx, nd.Store, rs)
	}
	return u.each(func(i int) error {
		return nd.Store.CreateResource(ctx, board(i, u.ids[i], rs), uuid.NewString)
	})
}

// each does something for each resource.
func (u *umpire) each(do func(i int) error) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	for range 128 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < u.n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					once.Do(func() { failed = err })
					return
				}
				if done := i + 1; done%100_000 == 0 {
					fmt.Fprintf(os.Stderr, "%d of %d resources\n", done, u.n)
				}
			}
		})
	}
	wg.Wait()
	return failed
}

func board(i int, id uma.ResourceID, rs *uma.Client) *uma.Resource {
	return &uma.Resource{
		ID: id, Server: rs.Key, Owner: rs.UUID, Name: fmt.Sprintf("Board %d", i), Type: "board",
		URIs: []string{fmt.Sprintf("/boards/%d", i)}, Scopes: []uma.Scope{"view", "post"},
		Attributes: map[string][]string{"visibility": {"public"}}, Origin: uma.FromAPI,
	}
}

// start starts the server, twice: the first start makes its keys.
func (u *umpire) start(ctx context.Context, alg string) error {
	realm, err := u.realm(alg)
	if err != nil {
		return err
	}
	for range 2 {
		if u.process != nil {
			if err := u.stop(); err != nil {
				return err
			}
		}
		if u.addr, err = freeAddr(); err != nil {
			return err
		}
		admin, err := freeAddr()
		if err != nil {
			return err
		}
		u.process, err = launch(ctx, u.dir, "http://"+admin+"/readyz", u.binary, "serve", "--data", u.data(), "--realm", realm,
			"--listen", u.addr, "--admin-listen", admin, "--log-level", "warn")
		if err != nil {
			return err
		}
	}
	return u.signIn()
}

// signIn obtains the tokens that the scripts use.
func (u *umpire) signIn() (err error) {
	for name, token := range map[string]*string{"bob": &u.bob, "alice": &u.alice} {
		if *token, err = u.token("grant_type=password&client_id=photoz-web&username=" + name + "&password=" + name); err != nil {
			return err
		}
	}
	u.pat, err = u.token("grant_type=client_credentials&client_id=photoz-api&client_secret=secret")
	return err
}

// token obtains an access token.
func (u *umpire) token(body string) (string, error) {
	res, err := http.Post("http://"+u.addr+tokenPath, "application/x-www-form-urlencoded", strings.NewReader(body))
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

// decision asks for a decision about one of the resources.
func (u *umpire) decision() script {
	headers := form + "Authorization: Bearer " + u.bob + "\r\n"
	return func(c *conn, caller, turn int) error {
		_, err := c.send("POST", tokenPath, headers, u.asked(caller, turn).Encode(), 200)
		return err
	}
}

// asked is the request for a decision about one of the resources.
func (u *umpire) asked(caller, turn int) url.Values {
	id := u.ids[(caller*7919+turn*104729)%len(u.ids)]
	return url.Values{
		"grant_type": {umaGrant}, "audience": {"photoz-api"}, "response_mode": {"decision"}, "permission": {string(id) + "#view"},
	}
}

// roundTrip asks for a ticket and trades it for an RPT: two requests.
func (u *umpire) roundTrip() script {
	asServer := "Content-Type: application/json\r\nAuthorization: Bearer " + u.pat + "\r\n"
	asBob := form + "Authorization: Bearer " + u.bob + "\r\n"
	return func(c *conn, caller, turn int) error {
		id := u.ids[(caller*7919+turn*104729)%len(u.ids)]
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
