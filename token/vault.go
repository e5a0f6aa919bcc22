package token

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"example.com/umpire/folder"
)

// keyBytes is the size of the key-encryption key (AES-256) and of the server's
// HMAC key.
const keyBytes = 32

// sealVersion is the first byte of everything sealed. It stands for AES-256-GCM: a random
// nonce of 12 bytes follows, then the ciphertext with its tag.
const sealVersion = 1

// ErrOtherKey means that data was sealed with another key-encryption key or for another
// purpose, or was changed since.
var ErrOtherKey = errors.New("not sealed by this key")

// A Vault encrypts private keys and secrets before they are stored. The store never sees
// the Vault's own key, the key-encryption key.
type Vault struct {
	name string // of the file or variable that the key comes from
	aead cipher.AEAD
}

// VaultOf returns a Vault whose key is given as text: 32 bytes in hexadecimal or base64.
// The name is that of the environment variable with the text, for errors.
func VaultOf(text, name string) (*Vault, error) {
	text = strings.TrimSpace(text)
	key, err := hex.DecodeString(text)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if err != nil || len(key) != keyBytes {
			key, err = encoding.DecodeString(text)
		}
	}
	if err != nil || len(key) != keyBytes { // err would quote the key
		return nil, fmt.Errorf("%s does not hold %d bytes in hexadecimal or base64", name, keyBytes)
	}
	return newVault(key, name)
}

// OpenVault reads the key-encryption key from a file: 32 bytes, raw or in hexadecimal. A
// file that anybody but its owner may read or write is refused, except for one with mode
// 0440 and a group of this process. If there is no file, OpenVault makes one with mode
// 0600, unless something is sealed already: a new key could not open that.
func OpenVault(path string, anySealed bool) (*Vault, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		if anySealed {
			return nil, fmt.Errorf("the key-encryption key %s is missing, and the database holds keys sealed with it: "+
				"put the file back from a backup, or name it with UMPIRE_KEY_FILE; "+
				"without it, only a new data directory can be started", path)
		}
		if err := makeKey(path); err != nil {
			return nil, fmt.Errorf("make the key-encryption key: %w", err)
		}
		key, err = readKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key-encryption key: %w", err)
	}
	return newVault(key, path)
}

func newVault(key []byte, name string) (*Vault, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use the key-encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("use the key-encryption key: %w", err)
	}
	return &Vault{name: name, aead: aead}, nil
}

// Seal encrypts plain. The context, such as "signing key KID", is not stored. Open needs
// the same one, so that data sealed for one purpose cannot be used for another.
func (v *Vault) Seal(plain, context []byte) []byte {
	return v.aead.Seal([]byte{sealVersion}, nil, plain, context)
}

// Open decrypts what Seal returned. Its error wraps ErrOtherKey and says what to do.
func (v *Vault) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) > 0 && sealed[0] == sealVersion {
		if plain, err := v.aead.Open(nil, nil, sealed[1:], context); err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("open %s: %w: %s is not the key-encryption key of this database, or the database was changed; "+
		"put the right key there, or name its file with UMPIRE_KEY_FILE", context, ErrOtherKey, v.name)
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it is only read
	if err := folder.CheckSecret(f); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, 1000))
	if err != nil {
		return nil, err
	}
	if len(content) == keyBytes {
		return content, nil
	}
	key, err := hex.DecodeString(string(bytes.TrimSpace(content)))
	if err != nil || len(key) != keyBytes { // err would quote the key
		return nil, fmt.Errorf("%s does not hold %d bytes, raw or in hexadecimal", path, keyBytes)
	}
	return key, nil
}

// makeKey writes a file with a new key. It is linked to path once it is complete, and
// never replaces another one: if two processes start together, both use the key of the
// first.
func makeKey(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".umpire-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // if it stays, it is as protected as the key file
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails, see its documentation
	_, err = fmt.Fprintf(tmp, "%x\n", key)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Otherwise a crash could remove the key file but not what is sealed by then.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // Sync says whether the entry is on disk
	return dir.Sync()
}
