package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Generation implements uma.Realms.
func (s *Store) Generation(ctx context.Context) (int64, error) {
	return fetch(ctx, s, "generation", func(c *conn) (n int64, err error) {
		err = c.row(`SELECT value FROM counter WHERE name = 'generation'`, nil, &n)
		return n, err
	})
}

// raiseGeneration is called by every administrative change of a realm. The row of all realms is
// locked until the transaction ends, so it is best called last.
func raiseGeneration(tx *conn, realm uma.Key) error {
	_, err := tx.all(
		command{query: `UPDATE realm SET generation = generation + 1 WHERE key = $1`, args: []any{realm}},
		command{query: `UPDATE counter SET value = value + 1 WHERE name = 'generation'`})
	return writing("generation", err)
}

// RealmNames implements uma.Realms.
func (s *Store) RealmNames(ctx context.Context) ([]string, error) {
	return fetch(ctx, s, "realms", func(c *conn) ([]string, error) {
		return texts[string](c, `SELECT name FROM realm ORDER BY name`)
	})
}

// RealmFingerprint implements uma.Realms.
func (s *Store) RealmFingerprint(ctx context.Context, realm string) ([]byte, error) {
	return fetch(ctx, s, "fingerprint of the realm", func(c *conn) (fingerprint []byte, err error) {
		err = c.rows(`SELECT fingerprint FROM realm WHERE name = $1`, []any{realm},
			func(scan scanFunc) error { return scan(&fingerprint) })
		return fingerprint, err
	})
}

// Snapshot implements uma.Realms.
func (s *Store) Snapshot(ctx context.Context, realm string, now time.Time) (*uma.Snapshot, error) {
	return fetch(ctx, s, "snapshot", func(c *conn) (*uma.Snapshot, error) {
		r, _, err := realmRow(c, realm)
		if err != nil {
			return nil, err
		}
		clients, err := clientRows(c, r.Key)
		if err != nil {
			return nil, err
		}
		keys, err := list(c, `SELECT kid, alg, public, sealed, created, active, expires FROM signing_key
			WHERE realm = $1 AND (active OR expires > $2) ORDER BY active DESC, created DESC, kid`,
			[]any{r.Key, millis(now)}, scanSigningKey)
		if err != nil {
			return nil, reading("signing keys", err)
		}
		return uma.NewSnapshot(*r, clients, keys), nil
	})
}

const selectRealm = `SELECT key, settings, generation, coalesce((SELECT p.key FROM policy_period p WHERE p.realm = name AND p.until = 0), 0)
	FROM realm WHERE name = $1`

// realmRow returns a realm, and its settings as they are stored.
func realmRow(c *conn, name string) (*uma.Realm, string, error) {
	return readRealm(c, selectRealm, name)
}

// lockRealm is realmRow for a transaction that changes the realm.
func lockRealm(tx *conn, name string) (*uma.Realm, string, error) {
	return readRealm(tx, selectRealm+` FOR NO KEY UPDATE`, name)
}

func readRealm(c *conn, query, name string) (*uma.Realm, string, error) {
	r := &uma.Realm{Name: name}
	var text string
	if err := c.row(query, []any{name}, &r.Key, &text, &r.Generation, &r.Period); err != nil {
		return nil, "", reading("realm "+name, err)
	}
	if err := rows.ReadSettings(text, r); err != nil {
		return nil, "", fmt.Errorf("read settings of realm %s: %w", name, err)
	}
	return r, text, nil
}

const clientColumns = ` key, id, uuid, secret, enabled, details, origin `

// clientRows returns the clients of a realm.
func clientRows(c *conn, realm uma.Key) ([]*uma.Client, error) {
	clients, err := list(c, `SELECT`+clientColumns+`FROM client WHERE realm = $1`, []any{realm}, scanClient)
	return clients, reading("clients", err)
}

func scanClient(scan scanFunc) (*uma.Client, error) {
	c := &uma.Client{}
	return c, scan(&c.Key, &c.ID, &c.UUID, &c.Secret, &c.Enabled, (*details)(c), &c.Origin)
}

// details reads the column details into a client.
type details uma.Client

// ScanText implements pgtype.TextScanner.
func (d *details) ScanText(v pgtype.Text) error { return rows.ReadDetails(v.String, (*uma.Client)(d)) }

func scanSigningKey(scan scanFunc) (uma.SigningKey, error) {
	var k uma.SigningKey
	err := scan(&k.KID, &k.Alg, &k.Public, &k.Sealed, (*moment)(&k.Created), &k.Active, (*moment)(&k.Expires))
	return k, err
}

// AddKey implements uma.Realms.
func (s *Store) AddKey(ctx context.Context, realm string, k uma.SigningKey, expires time.Time) error {
	return s.write(ctx, func(tx *conn) error {
		r, _, err := lockRealm(tx, realm)
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
// Without a time for that it does nothing if there is an active key. The realm is locked.
func addKey(tx *conn, realm uma.Key, k uma.SigningKey, expires time.Time) (added bool, err error) {
	if expires.IsZero() {
		there, err := tx.exists(`SELECT 1 FROM signing_key WHERE realm = $1 AND alg = $2 AND active`, realm, k.Alg)
		if err != nil || there {
			return false, reading("active key", err)
		}
	}
	_, err = tx.all(
		command{query: `UPDATE signing_key SET active = false, expires = $1 WHERE realm = $2 AND alg = $3 AND active`,
			args: []any{millis(expires), realm, k.Alg}},
		command{query: `INSERT INTO signing_key (realm, kid, alg, public, sealed, created, active, expires)
			VALUES ($1, $2, $3, $4, $5, $6, true, 0)`, args: []any{realm, k.KID, k.Alg, k.Public, k.Sealed, millis(k.Created)}})
	return err == nil, writing("signing key", err)
}

// Sealed implements uma.Realms.
func (s *Store) Sealed(ctx context.Context, name string) ([]byte, error) {
	return fetch(ctx, s, "sealed secret "+name, func(c *conn) ([]byte, error) { return sealed(c, name) })
}

func sealed(c *conn, name string) (value []byte, err error) {
	err = c.row(`SELECT value FROM sealed WHERE name = $1`, []any{name}, &value)
	return value, err
}

// PutSealed implements uma.Realms. Of servers that start at the same time one is first; what it
// has committed is seen by the statement that follows the insertion.
func (s *Store) PutSealed(ctx context.Context, name string, value []byte) ([]byte, error) {
	var kept []byte
	err := s.write(ctx, func(tx *conn) error {
		_, err := tx.all(
			command{query: `INSERT INTO sealed (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, args: []any{name, value}},
			command{query: `SELECT value FROM sealed WHERE name = $1`, args: []any{name}, dest: []any{&kept}})
		return writing("sealed secret "+name, err)
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
