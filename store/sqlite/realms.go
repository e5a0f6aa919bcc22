package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// settings is realm.settings: a realm without its key, name and generation.
type settings struct {
	Enabled     bool                `json:"enabled"`
	Profile     uma.Profile         `json:"profile"`
	Lifetimes   lifetimes           `json:"lifetimes"`
	SigningAlg  string              `json:"signing_alg"`
	Policy      policySettings      `json:"policy"`
	TicketReuse bool                `json:"ticket_reuse"`
	Issuers     []uma.TrustedIssuer `json:"issuers,omitempty"`
	SinkHold    *time.Duration      `json:"sink_hold,omitempty"` // nil in realms of earlier versions: the default
}

// lifetimes are in nanoseconds.
type lifetimes struct {
	Access  time.Duration `json:"access"`
	RPT     time.Duration `json:"rpt"`
	Refresh time.Duration `json:"refresh"`
	Session time.Duration `json:"session"`
	Ticket  time.Duration `json:"ticket"`
	PCT     time.Duration `json:"pct"`
}

type policySettings struct {
	Bundle         string        `json:"bundle"`
	AllOrNothing   bool          `json:"all_or_nothing"`
	Timeout        time.Duration `json:"timeout"`
	MaxPermissions int           `json:"max_permissions"`
	ResubmitAfter  time.Duration `json:"resubmit_after"`
	Entrypoint     string        `json:"entrypoint"`
	Removed        []string      `json:"removed,omitempty"`
	Shadow         string        `json:"shadow,omitempty"`
	DecideAnew     bool          `json:"decide_anew,omitempty"`
	Manual         bool          `json:"manual,omitempty"`
	Gates          uma.Gates     `json:"gates,omitzero"`

	OPA *uma.OPASettings `json:"opa,omitempty"`
}

func settingsText(r *uma.Realm) (string, error) {
	b, err := json.Marshal(settings{
		Enabled: r.Enabled, Profile: r.Profile, Lifetimes: lifetimes(r.Lifetimes), SigningAlg: r.SigningAlg,
		Policy: policySettings(r.Policy), TicketReuse: r.TicketReuse, Issuers: r.Issuers,
		SinkHold: &r.SinkHold,
	})
	return string(b), err
}

func (s *settings) fill(r *uma.Realm) {
	r.Enabled, r.Profile, r.Lifetimes, r.SigningAlg = s.Enabled, s.Profile, uma.Lifetimes(s.Lifetimes), s.SigningAlg
	r.Policy, r.TicketReuse = uma.PolicySettings(s.Policy), s.TicketReuse
	// Issuers of realm files of earlier versions, which had no effect, have no alias.
	r.Issuers = slices.DeleteFunc(s.Issuers, func(i uma.TrustedIssuer) bool { return i.Alias == "" })
	r.SinkHold = uma.DefaultHold
	if s.SinkHold != nil {
		r.SinkHold = *s.SinkHold
	}
}

// details is client.details: fields of a client that have no column.
type details struct {
	Public             bool                `json:"public,omitempty"`
	ResourceServer     bool                `json:"resource_server,omitempty"`
	ServiceAccount     bool                `json:"service_account,omitempty"`
	PasswordGrant      bool                `json:"password_grant,omitempty"`
	Roles              []string            `json:"roles,omitempty"`
	ClientRoles        map[string][]string `json:"client_roles,omitempty"`
	Groups             []string            `json:"groups,omitempty"`
	Claims             map[string]any      `json:"claims,omitempty"`
	WebOrigins         []string            `json:"web_origins,omitempty"`
	ClaimsRedirectURIs []string            `json:"claims_redirect_uris,omitempty"`
	Scopes             []uma.Scope         `json:"scopes,omitempty"`
	TokenExchange      bool                `json:"token_exchange,omitempty"`
	JWKS               []byte              `json:"jwks,omitempty"`
	JWKSURI            string              `json:"jwks_uri,omitempty"`
}

func detailsText(c *uma.Client) (string, error) {
	b, err := json.Marshal(details{
		Public: c.Public, ResourceServer: c.ResourceServer, ServiceAccount: c.ServiceAccount,
		PasswordGrant: c.PasswordGrant, Roles: c.Roles, ClientRoles: c.ClientRoles, Groups: c.Groups, Claims: c.Claims,
		WebOrigins: c.WebOrigins, ClaimsRedirectURIs: c.ClaimsRedirectURIs, Scopes: c.Scopes,
		TokenExchange: c.TokenExchange, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
	})
	return string(b), err
}

func (d *details) fill(c *uma.Client) {
	c.Public, c.ResourceServer, c.ServiceAccount, c.PasswordGrant = d.Public, d.ResourceServer, d.ServiceAccount, d.PasswordGrant
	c.Roles, c.ClientRoles, c.Groups, c.Claims = d.Roles, d.ClientRoles, d.Groups, d.Claims
	c.WebOrigins, c.ClaimsRedirectURIs, c.Scopes = d.WebOrigins, d.ClaimsRedirectURIs, d.Scopes
	c.TokenExchange, c.JWKS, c.JWKSURI = d.TokenExchange, d.JWKS, d.JWKSURI
}

// Generation implements uma.Realms.
func (s *Store) Generation(ctx context.Context) (int64, error) {
	return fetch(ctx, s, "generation", func(c *conn) (n int64, err error) {
		err = c.row(`SELECT value FROM counter WHERE name = 'generation'`, nil, &n)
		return n, err
	})
}

// raiseGeneration is called by every administrative change of a realm.
func raiseGeneration(tx *conn, realm uma.Key) error {
	if _, err := tx.exec(`UPDATE realm SET generation = generation + 1 WHERE key = ?`, int64(realm)); err != nil {
		return writing("generation of the realm", err)
	}
	_, err := tx.exec(`UPDATE counter SET value = value + 1 WHERE name = 'generation'`)
	return writing("generation", err)
}

// RealmNames implements uma.Realms.
func (s *Store) RealmNames(ctx context.Context) ([]string, error) {
	return fetch(ctx, s, "realms", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT name FROM realm ORDER BY name`)
	})
}

// TypesInUse implements uma.Realms.
func (s *Store) TypesInUse(ctx context.Context, realm string, types []string) ([]string, error) {
	return fetch(ctx, s, "types in use", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT t.value FROM json_each(?) t WHERE EXISTS (
			SELECT 1 FROM realm CROSS JOIN client c ON c.realm = realm.key CROSS JOIN resource r ON r.server = c.key
			WHERE realm.name = ? AND json_extract(c.details, '$.resource_server') AND r.type = t.value) ORDER BY t.key`,
			rows.ListText(types), realm)
	})
}

// RealmFingerprint implements uma.Realms.
func (s *Store) RealmFingerprint(ctx context.Context, realm string) ([]byte, error) {
	return fetch(ctx, s, "fingerprint of the realm", func(c *conn) (fingerprint []byte, err error) {
		err = c.rows(`SELECT fingerprint FROM realm WHERE name = ?`, []any{realm},
			func(scan scanFunc) error { return scan(&fingerprint) })
		return fingerprint, err
	})
}

// Snapshot implements uma.Realms.
func (s *Store) Snapshot(ctx context.Context, realm string, now time.Time) (*uma.Snapshot, error) {
	var snapshot *uma.Snapshot
	err := s.read(ctx, func(c *conn) error {
		r, _, err := realmRow(c, realm)
		if err != nil {
			return err
		}
		clients, err := list(c, `SELECT`+clientColumns+`FROM client WHERE realm = ?`,
			[]any{int64(r.Key)}, scanClient)
		if err != nil {
			return reading("clients", err)
		}
		keys, err := list(c, `SELECT kid, alg, public, sealed, created, active, expires FROM signing_key
			WHERE realm = ? AND (active OR expires > ?) ORDER BY active DESC, created DESC, kid`,
			[]any{int64(r.Key), millis(now)}, scanSigningKey)
		snapshot = uma.NewSnapshot(*r, clients, keys)
		return reading("signing keys", err)
	})
	if err != nil {
		return nil, err
	}
	return snapshot, nil
}

// realmRow returns a realm, and its settings as they are stored.
func realmRow(c *conn, name string) (*uma.Realm, string, error) {
	r := &uma.Realm{Name: name}
	var text string
	err := c.row(`SELECT key, settings, generation, coalesce((SELECT p.key FROM policy_period p WHERE p.realm = name AND p.until = 0), 0)
		FROM realm WHERE name = ?`, []any{name}, (*integer)(&r.Key), &text, (*integer)(&r.Generation), (*integer)(&r.Period))
	if err != nil {
		return nil, "", reading("realm "+name, err)
	}
	kept, err := readSettings(text)
	if err != nil {
		return nil, "", fmt.Errorf("read settings of realm %s: %w", name, err)
	}
	kept.fill(r)
	return r, text, nil
}

func readSettings(text string) (*settings, error) {
	kept := &settings{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber() // as realm files have them
	return kept, dec.Decode(kept)
}

const clientColumns = ` key, id, uuid, secret, enabled, details, origin `

func scanClient(scan scanFunc) (*uma.Client, error) {
	c := &uma.Client{}
	var kept details
	err := scan((*integer)(&c.Key), &c.ID, &c.UUID, &c.Secret, &c.Enabled, document{&kept}, (*namedText)(&c.Origin))
	kept.fill(c)
	return c, err
}

func scanSigningKey(scan scanFunc) (uma.SigningKey, error) {
	var k uma.SigningKey
	err := scan(&k.KID, &k.Alg, &k.Public, &k.Sealed, (*moment)(&k.Created), &k.Active, (*moment)(&k.Expires))
	return k, err
}

// AddKey implements uma.Realms.
func (s *Store) AddKey(ctx context.Context, realm string, k uma.SigningKey, expires time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		r, _, err := realmRow(tx, realm)
		if err != nil {
			return err
		}
		added, err := addKey(tx, r.Key, k, expires)
		if err != nil || !added {
			return err
		}
		return raiseGeneration(tx, r.Key)
	})
}

// addKey makes k the active key of its algorithm, and lets the previous one expire.
// Without a time for that it does nothing if there is an active key.
func addKey(tx *conn, realm uma.Key, k uma.SigningKey, expires time.Time) (added bool, err error) {
	if expires.IsZero() {
		there, err := tx.exists(`SELECT 1 FROM signing_key WHERE realm = ? AND alg = ? AND active = 1`, int64(realm), k.Alg)
		if err != nil || there {
			return false, reading("active key", err)
		}
	}
	_, err = tx.exec(`UPDATE signing_key SET active = 0, expires = ? WHERE realm = ? AND alg = ? AND active = 1`,
		millis(expires), int64(realm), k.Alg)
	if err != nil {
		return false, writing("previous signing key", err)
	}
	_, err = tx.exec(`INSERT INTO signing_key (realm, kid, alg, public, sealed, created, active, expires)
		VALUES (?, ?, ?, ?, ?, ?, 1, 0)`, int64(realm), k.KID, k.Alg, k.Public, k.Sealed, millis(k.Created))
	return err == nil, writing("signing key", err)
}

// Sealed implements uma.Realms.
func (s *Store) Sealed(ctx context.Context, name string) ([]byte, error) {
	return fetch(ctx, s, "sealed secret "+name, func(c *conn) ([]byte, error) { return sealed(c, name) })
}

func sealed(c *conn, name string) (value []byte, err error) {
	err = c.row(`SELECT value FROM sealed WHERE name = ?`, []any{name}, &value)
	return value, err
}

// PutSealed implements uma.Realms.
func (s *Store) PutSealed(ctx context.Context, name string, value []byte) ([]byte, error) {
	var kept []byte
	err := s.write(ctx, func(tx *conn) error {
		_, err := tx.exec(`INSERT INTO sealed (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, value)
		if err != nil {
			return writing("sealed secret "+name, err)
		}
		kept, err = sealed(tx, name)
		return reading("sealed secret "+name, err)
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// AnySealed implements uma.Realms.
func (s *Store) AnySealed(ctx context.Context) (bool, error) {
	return fetch(ctx, s, "sealed secrets", func(c *conn) (there bool, err error) {
		err = c.row(`SELECT EXISTS (SELECT 1 FROM sealed) OR EXISTS (SELECT 1 FROM signing_key)`, nil, &there)
		return there, err
	})
}
