package token_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"example.com/umpire/token"
	"example.com/umpire/uma"
)

func TestPassword(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	hash, err := h.Password(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s", hash)
	}
	again, err := h.Password(t.Context(), "correct horse")
	if err != nil || again == hash {
		t.Errorf("the same salt twice (%v)", err)
	}
	if _, err := h.Password(t.Context(), ""); err == nil {
		t.Error("hashed an empty password")
	}

	// Made elsewhere, with other parameters.
	salt := []byte("saltsalt")
	b64 := base64.RawStdEncoding.EncodeToString
	foreign := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=2$%s$%s", b64(salt), b64(argon2.IDKey([]byte("s3cret"), salt, 1, 8192, 2, 24)))

	tests := []struct {
		name, hash, plain string
		want              bool
	}{
		{"right", hash, "correct horse", true},
		{"wrong", hash, "correct hors", false},
		{"empty password", hash, "", false},
		{"no hash", "", "correct horse", false},
		{"neither", "", "", false},
		{"made elsewhere", foreign, "s3cret", true},
		{"made elsewhere, wrong", foreign, "secret", false},
	}
	for _, tc := range tests {
		got, err := h.CheckPassword(t.Context(), uma.Attempt{}, tc.hash, tc.plain)
		if err != nil || got != tc.want {
			t.Errorf("%s: got %t, %v, want %t", tc.name, got, err, tc.want)
		}
	}
}

func TestPasswordHashRefused(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	const salt, digest = "c2FsdHNhbHQ", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, hash := range []string{
		"plain", "$2b$10$abcdefghijklmnopqrstuv", "$argon2id$",
		"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + digest,
		"$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + digest,       // weak
		"$argon2id$v=19$m=1048576,t=2,p=1$" + salt + "$" + digest, // a gigabyte
		"$argon2id$v=19$m=19456,t=999,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=19456,t=0,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=19456,t=2,p=0$" + salt + "$" + digest,
		"$argon2id$v=19$m=19456,t=2,p=1,x=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$",
		"$argon2id$v=19$m=19456,t=2,p=1$$" + digest,
		"$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$" + digest + "\n",
	} {
		ok, err := h.CheckPassword(t.Context(), uma.Attempt{}, hash, "x")
		if err == nil || ok {
			t.Errorf("%q: got %t, %v, want an error", hash, ok, err)
		}
		if err != nil && strings.Contains(err.Error(), digest) {
			t.Errorf("the error quotes the hash: %v", err)
		}
	}
}

// Waiting for the one that hashes ends with the request.
func TestPasswordOneAtATime(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	token.Occupy(h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Password(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := h.CheckPassword(ctx, uma.Attempt{}, "", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	sum := sha256.Sum256([]byte("secret"))
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := must(h.Secret(t.Context(), "secret"))
	if got := must(h.SecretFromHash(t.Context(), "sha256:"+hex.EncodeToString(sum[:]))); !bytes.Equal(got, want) {
		t.Errorf("from its hash: got %x, want %x", got, want)
	}
	if bytes.Equal(want, must(h.Secret(t.Context(), "Secret"))) {
		t.Error("two secrets are one")
	}
	if bytes.Equal(want, must(h.Fingerprint(t.Context(), sum[:]))) {
		t.Error("a fingerprint is a secret")
	}
	for _, bad := range []string{"", "sha256:", "sha256:00", hex.EncodeToString(sum[:]), "sha1:" + hex.EncodeToString(sum[:]), "sha256:" + strings.Repeat("zz", 32)} {
		if _, err := h.SecretFromHash(t.Context(), bad); err == nil {
			t.Errorf("took %q", bad)
		}
	}
	other, err := token.NewHasher(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, must(other.Secret(t.Context(), "secret"))) {
		t.Error("the key makes no difference")
	}
	if _, err := token.NewHasher(nil); err == nil {
		t.Error("took no key")
	}
}

func TestHasherStopsWithItsContext(t *testing.T) {
	t.Parallel()
	h := newHasher(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, secret := h.Secret(ctx, "secret")
	_, fromHash := h.SecretFromHash(ctx, "sha256:"+strings.Repeat("00", sha256.Size))
	_, fingerprint := h.Fingerprint(ctx, nil)
	for _, err := range []error{secret, fromHash, fingerprint} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}
}

func newHasher(t *testing.T) *token.Hasher {
	t.Helper()
	h, err := token.NewHasher(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return h
}
