package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Generation implements uma.Realms.
func (s *Store) Generation(ctx context.Context) (int64, error) {
	return fetch(ctx, s, "generation", generationOf)
}

func generationOf(c *conn) (n int64, err error) {
	err = c.row(`SELECT value FROM counter WHERE name = 'generation'`, nil, &n)
	return n, err
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
			[]any{int64(r.Key), rows.Millis(now)}, scanSigningKey)
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
	if err := rows.ReadSettings(text, r); err != nil {
		return nil, "", fmt.Errorf("read settings of realm %s: %w", name, err)
	}
	return r, text, nil
}

const clientColumns = ` key, id, uuid, secret, enabled, details, origin `

// details reads the column details into a client.
type details uma.Client

func (d *details) read(s *sqlite.Stmt, i int) error {
	v, err := text(s, i)
	if err != nil {
		return err
	}
	return rows.ReadDetails(v, (*uma.Client)(d))
}

func scanClient(scan scanFunc) (*uma.Client, error) {
	c := &uma.Client{}
	err := scan((*integer)(&c.Key), &c.ID, &c.UUID, &c.Secret, &c.Enabled, (*details)(c), (*namedText)(&c.Origin))
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
		rows.Millis(expires), int64(realm), k.Alg)
	if err != nil {
		return false, writing("previous signing key", err)
	}
	_, err = tx.exec(`INSERT INTO signing_key (realm, kid, alg, public, sealed, created, active, expires)
		VALUES (?, ?, ?, ?, ?, ?, 1, 0)`, int64(realm), k.KID, k.Alg, k.Public, k.Sealed, rows.Millis(k.Created))
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
