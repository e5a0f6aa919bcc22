package token_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"example.com/umpire/token"
)

func TestVaultMakesItsKeyOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.key")
	v := openVault(t, path, false)
	sealed := v.Seal([]byte("a secret"), []byte("for a test"))
	if bytes.Contains(sealed, []byte("a secret")) {
		t.Error("sealed shows what it holds")
	}

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().Perm(), os.FileMode(0o600); got != want {
		t.Errorf("got mode %o, want %o", got, want)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind %v (%v)", left, err)
	}
	got, err := openVault(t, path, true).Open(sealed, []byte("for a test"))
	if err != nil || string(got) != "a secret" {
		t.Errorf("opened again: got %q, %v", got, err)
	}
}

func TestVaultRefusesAFile(t *testing.T) {
	t.Parallel()
	hexKey := strings.Repeat("0a", 32)
	tests := []struct {
		name, content string
		mode          os.FileMode
		want          string // in the error; empty for a key that is taken
	}{
		{"hexadecimal", hexKey + "\n", 0o600, ""},
		{"read-only", hexKey, 0o400, ""},
		{"raw", strings.Repeat("k", 32), 0o600, ""},
		{"a mounted secret", hexKey, 0o440, ""},
		{"a mounted secret for all", hexKey, 0o444, "chmod 600"},
		{"readable by the group", hexKey, 0o640, "chmod 600"},
		{"readable by all", hexKey, 0o604, "chmod 600"},
		{"empty", "", 0o600, "32 bytes"},
		{"short", hexKey[2:], 0o600, "32 bytes"},
		{"long", hexKey + "0a", 0o600, "32 bytes"},
		{"not hexadecimal", strings.Repeat("zz", 32), 0o600, "32 bytes"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "umpire.key")
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := token.OpenVault(path, true)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want one with %q and the path", err, tc.want)
			}
			if err != nil && tc.content != "" && strings.Contains(err.Error(), tc.content) {
				t.Error("the error quotes the key")
			}
		})
	}
}

// A key that is no file: in hexadecimal or base64, and never in an error.
func TestVaultOf(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{0xfb}, 32)
	sealed := vaultOf(t, hex.EncodeToString(key)).Seal([]byte("a secret"), []byte("for a test"))
	for _, text := range []string{
		strings.ToUpper(hex.EncodeToString(key)), " " + hex.EncodeToString(key) + "\n", base64.StdEncoding.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key),
		base64.URLEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key),
	} {
		if got, err := vaultOf(t, text).Open(sealed, []byte("for a test")); err != nil || string(got) != "a secret" {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "secret", strings.Repeat("fb", 31), strings.Repeat("fb", 33), strings.Repeat("!", 43), base64.StdEncoding.EncodeToString(key[1:])} {
		_, err := token.VaultOf(text, "UMPIRE_KEY")
		if err == nil || !strings.Contains(err.Error(), "UMPIRE_KEY does not hold 32 bytes") || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func vaultOf(t *testing.T, text string) *token.Vault {
	t.Helper()
	v, err := token.VaultOf(text, "UMPIRE_KEY")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVaultLost(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.key")
	_, err := token.OpenVault(path, true)
	for _, want := range []string{path, "missing", "backup", "UMPIRE_KEY_FILE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a new key was made in place of the lost one")
	}
}

func TestVaultOpensOnlyItsOwn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "umpire.key")
	v := openVault(t, path, false)
	sealed := v.Seal([]byte("a secret"), []byte("context"))
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	other := openVault(t, filepath.Join(t.TempDir(), "other.key"), false)

	tests := []struct {
		name    string
		vault   *token.Vault
		sealed  []byte
		context string
	}{
		{"another key", other, sealed, "context"},
		{"another purpose", v, sealed, "contex"},
		{"changed", v, flipped, "context"},
		{"another version", v, append([]byte{2}, sealed[1:]...), "context"},
		{"cut off", v, sealed[:20], "context"},
		{"one byte", v, sealed[:1], "context"},
		{"nothing", v, nil, "context"},
	}
	for _, tc := range tests {
		got, err := tc.vault.Open(tc.sealed, []byte(tc.context))
		if !errors.Is(err, token.ErrOtherKey) || got != nil {
			t.Errorf("%s: got %q, %v", tc.name, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "UMPIRE_KEY_FILE") {
			t.Errorf("%s: %v does not say what to do", tc.name, err)
		}
	}
}

// Two processes that start together must not seal with different keys.
func TestVaultMadeByManyAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		path := filepath.Join(t.TempDir(), "umpire.key")
		vaults := make([]*token.Vault, 8)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range vaults {
			wg.Go(func() {
				<-start
				v, err := token.OpenVault(path, false)
				if err != nil {
					t.Error(err)
				}
				vaults[i] = v
			})
		}
		close(start)
		wg.Wait()
		if t.Failed() {
			return
		}
		sealed := vaults[0].Seal([]byte("x"), nil)
		for _, v := range vaults {
			if _, err := v.Open(sealed, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func openVault(t testing.TB, path string, anySealed bool) *token.Vault {
	t.Helper()
	v, err := token.OpenVault(path, anySealed)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
