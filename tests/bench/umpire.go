package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"example.com/umpire/uma"
)

// An umpire is a built server on a database.
type umpire struct {
	*process
	name   string
	binary string
	dir    string // of its realm file and its logs
	data   string // its data folder; with a PostgreSQL that of its key alone
	url    string // of its PostgreSQL; empty: it has SQLite
	public string // its public URL; empty: that of its listener
	size   size
	ids    []uma.ResourceID // of boards; nil: those of size
	caches string           // flag --caches; empty: the default
	addr   string
	admin  string // address of its administration
	signed        // with these tokens
}

// signed are access tokens of users, and of the resource server.
type signed struct {
	alice, bob, carol, pat string
}

func (u *umpire) contender(name string, s script) contender {
	return contender{name: name, addrs: []string{u.addr}, script: s, processes: []*process{u.process}, admins: []string{u.admin}, database: u.url}
}

// board picks a board for a turn of a caller.
func (u *umpire) board(caller, turn int) uma.ResourceID {
	at := caller*7919 + turn*104729
	if u.ids != nil {
		return u.ids[at%len(u.ids)]
	}
	return u.size.id(at % u.size.boards())
}

// album picks an album of alice, who shares it.
func (u *umpire) album(caller, turn int) uma.ResourceID {
	return u.size.id(u.size.boards() + (caller*7919+turn*104729)%u.size.albums())
}

// A realmFile is what differs between the realms that are measured.
type realmFile struct {
	alg     string              // that tokens are signed with
	shadow  bool                // there is a shadow policy, the same as the policy
	trusted []map[string]string // keys of an issuer that the realm trusts, as JWKs
}

// write writes the realm file into a folder and returns its path. Evaluations have ten seconds, so
// that a machine that is busy with other things does not end a run.
func (f realmFile) write(dir string) (string, error) {
	text, err := os.ReadFile("tests/testdata/photoz/realm.yaml")
	if err != nil {
		return "", err
	}
	bundle, err := filepath.Abs(policyFolder)
	if err != nil {
		return "", err
	}
	if f.shadow {
		bundle += ", shadow: " + bundle
	}
	realm := strings.NewReplacer("./policies", bundle+", timeout: 10s", "RS256", f.alg).Replace(string(text))
	if f.trusted != nil {
		list, err := issuers(f.trusted)
		if err != nil {
			return "", err
		}
		realm += list
	}
	path := filepath.Join(dir, "realm.yaml")
	return path, os.WriteFile(path, []byte(realm), 0o600)
}

// start starts the server, twice: the first start makes its keys. Before it the decision records
// of earlier runs are deleted.
func (u *umpire) start(ctx context.Context, f realmFile) error {
	if err := os.MkdirAll(u.dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(u.data, "umpire.db")); err == nil || u.url != "" {
		prune := append([]string{"decisions", "prune", "--before", "0h"}, u.place()...)
		if out, err := exec.CommandContext(ctx, u.binary, prune...).CombinedOutput(); err != nil {
			return fmt.Errorf("delete decision records: %w: %s", err, out)
		}
	}
	for range 2 {
		if err := u.restart(ctx, f); err != nil {
			return err
		}
	}
	return u.signIn()
}

// restart stops the server, if it runs, and starts it.
func (u *umpire) restart(ctx context.Context, f realmFile) error {
	if u.process != nil {
		if err := u.stop(); err != nil {
			return err
		}
	}
	realm, err := f.write(u.dir)
	if err != nil {
		return err
	}
	if u.addr, err = freeAddr(); err != nil {
		return err
	}
	if u.admin, err = freeAddr(); err != nil {
		return err
	}
	args := append([]string{"serve", "--realm", realm, "--listen", u.addr, "--admin-listen", u.admin, "--log-level", "warn"}, u.place()...)
	if u.public != "" {
		args = append(args, "--public-url", u.public)
	}
	if u.caches != "" {
		args = append(args, "--caches", u.caches)
	}
	u.process, err = launch(ctx, u.dir, "http://"+u.admin+"/readyz", u.binary, args...)
	return err
}

// place are the flags that say where the server's rows are.
func (u *umpire) place() []string {
	if u.url != "" {
		return []string{"--database", u.url, "--data", u.data}
	}
	return []string{"--data", u.data}
}

// logBytes is the size of the database's write-ahead log.
func (u *umpire) logBytes() int64 {
	info, err := os.Stat(filepath.Join(u.data, "umpire.db-wal"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// signIn obtains the tokens that the scripts use.
func (u *umpire) signIn() (err error) {
	u.signed, err = signIn(u.addr)
	return err
}

func signIn(addr string) (t signed, err error) {
	for name, token := range map[string]*string{"alice": &t.alice, "bob": &t.bob, "carol": &t.carol} {
		if *token, err = obtain(addr, "grant_type=password&client_id=photoz-web&username="+name+"&password="+name); err != nil {
			return t, err
		}
	}
	t.pat, err = obtain(addr, "grant_type=client_credentials&client_id=photoz-api&client_secret=secret")
	return t, err
}

// obtain obtains an access token.
func obtain(addr, body string) (string, error) {
	res, err := http.Post("http://"+addr+tokenPath, "application/x-www-form-urlencoded", strings.NewReader(body))
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
