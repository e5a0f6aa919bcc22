package token

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"example.com/umpire/phc"
	"example.com/umpire/uma"
)

// The parameters of new hashes. Memory is in KiB.
const (
	memory, passes, threads = 19 << 10, 2, 1
	saltBytes, digestBytes  = 16, 32
)

// Hasher implements uma.Hasher.
type Hasher struct {
	secret      []byte // the key of client secrets
	fingerprint []byte // the key of fingerprints
	slow        queue  // for argon2id, one call at a time: many would use up the memory of the machine
}

var _ uma.Hasher = (*Hasher)(nil)

// NewHasher returns a Hasher that uses the server's HMAC key, of 32 bytes.
func NewHasher(key []byte) (*Hasher, error) {
	secret, err := derive(key, "client secrets")
	if err != nil {
		return nil, err
	}
	fingerprint, err := derive(key, "fingerprints")
	if err != nil {
		return nil, err
	}
	return &Hasher{secret: secret, fingerprint: fingerprint}, nil
}

// Secret implements uma.Hasher.
func (h *Hasher) Secret(ctx context.Context, plain string) ([]byte, error) {
	sum := sha256.Sum256([]byte(plain))
	return mac(ctx, h.secret, sum[:])
}

// SecretFromHash implements uma.Hasher.
func (h *Hasher) SecretFromHash(ctx context.Context, hash string) ([]byte, error) {
	digits, ok := strings.CutPrefix(hash, "sha256:")
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil, errors.New("a secret's hash is not sha256: and 64 hexadecimal digits")
	}
	return mac(ctx, h.secret, sum)
}

// Fingerprint implements uma.Hasher.
func (h *Hasher) Fingerprint(ctx context.Context, content []byte) ([]byte, error) {
	return mac(ctx, h.fingerprint, content)
}

func mac(ctx context.Context, key, content []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := hmac.New(sha256.New, key)
	m.Write(content) // never fails, see hash.Hash
	return m.Sum(nil), nil
}

// Password implements uma.Hasher.
func (h *Hasher) Password(ctx context.Context, plain string) (string, error) {
	if plain == "" {
		return "", errors.New("hash a password: it is empty")
	}
	p := parameters()
	rand.Read(p.Salt) // never fails, see its documentation
	var err error
	if p.Digest, err = h.argon2id(ctx, uma.Attempt{}, p, plain); err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return p.String(), nil
}

// CheckPassword implements uma.Hasher.
func (h *Hasher) CheckPassword(ctx context.Context, from uma.Attempt, hash, plain string) (bool, error) {
	p := parameters()
	if hash != "" {
		var err error
		if p, err = phc.Parse(hash); err != nil {
			return false, fmt.Errorf("check a password: its hash: %w", err)
		}
	}
	digest, err := h.argon2id(ctx, from, p, plain)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	same := subtle.ConstantTimeCompare(digest, p.Digest) == 1
	return same && hash != "" && plain != "", nil
}

// parameters are those of a new hash, its salt and digest still zero.
func parameters() *phc.Hash {
	return &phc.Hash{Memory: memory, Passes: passes, Threads: threads, Salt: make([]byte, saltBytes), Digest: make([]byte, digestBytes)}
}

// Waiting returns how many requests wait for a password to be hashed or checked.
func (h *Hasher) Waiting() int { return h.slow.len() }

// argon2id hashes for one caller at a time. The memory of past calls is freed by the
// garbage collector, which runs once the heap has grown by a factor (docs/operations.md
// has a figure). Rejected: a forced collection after each sign-in, because it slows all
// other requests.
func (h *Hasher) argon2id(ctx context.Context, from uma.Attempt, p *phc.Hash, plain string) ([]byte, error) {
	if err := h.slow.enter(ctx, from); err != nil {
		return nil, err
	}
	defer h.slow.leave()
	return argon2.IDKey([]byte(plain), p.Salt, p.Passes, p.Memory, uint8(p.Threads), uint32(len(p.Digest))), nil
}
