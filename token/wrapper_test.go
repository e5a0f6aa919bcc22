package token_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"example.com/umpire/token"
	"example.com/umpire/uma"
)

// A remote is a key management service, as far as the tests need one.
type remote struct {
	vault *token.Vault
	calls []string // what the data was about
	down  error
}

func (r *remote) Wrap(ctx context.Context, plain, about []byte) ([]byte, error) {
	if r.calls = append(r.calls, "wrap "+string(about)); r.down != nil {
		return nil, r.down
	}
	return r.vault.Wrap(ctx, plain, about)
}

func (r *remote) Unwrap(ctx context.Context, wrapped, about []byte) ([]byte, error) {
	if r.calls = append(r.calls, "unwrap "+string(about)); r.down != nil {
		return nil, r.down
	}
	return r.vault.Unwrap(ctx, wrapped, about)
}

// A signing key is unwrapped at its first use. While the key service is down, nothing is signed with a
// key that was not used before.
func TestSigningKeysAreUnwrappedOnce(t *testing.T) {
	t.Parallel()
	service := &remote{vault: openVault(t, filepath.Join(t.TempDir(), "umpire.key"), false)}
	newKeys := func() *token.Keys {
		k, err := token.NewKeys(service, bytes.Repeat([]byte{7}, 32), func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := newKeys()
	key := newKey(t, k, "ES256")
	claims := &uma.Claims{Issuer: issuer, Type: uma.TypeBearer, Expires: now.Unix() + 9}
	sign := func() error {
		_, err := k.Sign(t.Context(), snapshot("photoz", key), claims)
		return err
	}
	for range 3 {
		if err := sign(); err != nil {
			t.Fatal(err)
		}
	}
	about := "signing key " + key.KID
	if len(service.calls) != 2 || service.calls[0] != "wrap "+about || service.calls[1] != "unwrap "+about {
		t.Errorf("got calls %q", service.calls)
	}
	service.down = errors.New("no route")
	if err := sign(); err != nil {
		t.Errorf("a key that was used before: got %v", err)
	}
	k = newKeys()
	if err := sign(); !errors.Is(err, service.down) {
		t.Errorf("a key that was not used before: got %v, want %v", err, service.down)
	}
	if _, err := k.NewKey(t.Context(), "ES256"); !errors.Is(err, service.down) {
		t.Errorf("a new key: got %v, want %v", err, service.down)
	}
}

// A call ends with its context, and data is unwrapped only for what it was wrapped for.
func TestVaultWraps(t *testing.T) {
	t.Parallel()
	v := openVault(t, filepath.Join(t.TempDir(), "umpire.key"), false)
	wrapped, err := v.Wrap(t.Context(), []byte("a secret"), []byte("a test"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := v.Unwrap(t.Context(), wrapped, []byte("a test")); err != nil || string(plain) != "a secret" {
		t.Errorf("got %q, %v", plain, err)
	}
	if _, err := v.Unwrap(t.Context(), wrapped, []byte("another")); !errors.Is(err, token.ErrOtherKey) {
		t.Errorf("got %v, want %v", err, token.ErrOtherKey)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, wrap := v.Wrap(over, nil, nil)
	if _, err := v.Unwrap(over, wrapped, []byte("a test")); !errors.Is(err, context.Canceled) || !errors.Is(wrap, context.Canceled) {
		t.Errorf("got %v and %v of a context that has ended", wrap, err)
	}
}

// What tickets remember is sealed with a key of its own, which all servers with one secret have.
func TestTicketVault(t *testing.T) {
	t.Parallel()
	vault := func(secret byte) *token.Vault {
		v, err := token.TicketVault(bytes.Repeat([]byte{secret}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	sealed := vault(7).Seal([]byte("claims"), []byte("a ticket"))
	if plain, err := vault(7).Open(sealed, []byte("a ticket")); err != nil || string(plain) != "claims" {
		t.Errorf("got %q, %v", plain, err)
	}
	if _, err := vault(8).Open(sealed, []byte("a ticket")); err == nil {
		t.Error("another secret opens it")
	}
	if _, err := token.TicketVault(nil); err == nil {
		t.Error("it needs no secret")
	}
}
