package token

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"example.com/umpire/uma"
)

// What argon2id costs (design §6), and what a hash made elsewhere may cost: any
// more and one sign-in would starve the rest. Memory is in KiB.
const (
	memory, passes, threads = 19 << 10, 2, 1

	minMemory, maxMemory   = 7 << 10, 128 << 10 // OWASP advises no less than 7 MiB
	maxPasses, maxThreads  = 10, 8
	minSalt, maxSalt       = 8, 64 // bytes
	minDigest, maxDigest   = 16, 64
	saltBytes, digestBytes = 16, 32
)

// Hasher implements uma.Hasher.
type Hasher struct {
	secret      []byte // the key of client secrets
	fingerprint []byte // the key of fingerprints
	slow        queue  // for argon2id: its memory is what makes it slow, and many at once would take all of the machine's
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
	m.Write(content)
	return m.Sum(nil), nil
}

// A phc is an argon2id hash and its parameters.
type phc struct {
	memory, passes uint32
	threads        uint8
	salt, digest   []byte
}

// String is the form of the PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func (p *phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.memory, p.passes, p.threads, b64(p.salt), b64(p.digest))
}

// parsePHC reads such a string. The error does not quote it.
func parsePHC(s string) (*phc, error) {
	p := new(phc)
	var version int
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return nil, errors.New("a password's hash is not an argon2id PHC string")
	}
	_, errVersion := fmt.Sscanf(fields[2], "v=%d", &version)
	_, errCost := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads)
	b64 := base64.RawStdEncoding.Strict()
	var errSalt, errDigest error
	p.salt, errSalt = b64.DecodeString(fields[4])
	p.digest, errDigest = b64.DecodeString(fields[5])
	// Written anew it must be the same, so that nothing was skipped.
	if errors.Join(errVersion, errCost, errSalt, errDigest) != nil || p.String() != s {
		return nil, errors.New("a password's hash is not an argon2id PHC string of version 19")
	}
	if p.memory < minMemory || p.memory > maxMemory || p.passes < 1 || p.passes > maxPasses ||
		p.threads < 1 || p.threads > maxThreads ||
		len(p.salt) < minSalt || len(p.salt) > maxSalt || len(p.digest) < minDigest || len(p.digest) > maxDigest {
		return nil, errors.New("a password's hash has parameters out of bounds")
	}
	return p, nil
}

// Password implements uma.Hasher.
func (h *Hasher) Password(ctx context.Context, plain string) (string, error) {
	if plain == "" {
		return "", errors.New("hash a password: it is empty")
	}
	p := &phc{memory: memory, passes: passes, threads: threads, salt: make([]byte, saltBytes)}
	rand.Read(p.salt) // never fails, see its documentation
	digest, err := h.argon2id(ctx, uma.Attempt{}, p, digestBytes, plain)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	p.digest = digest
	return p.String(), nil
}

// CheckPassword implements uma.Hasher.
func (h *Hasher) CheckPassword(ctx context.Context, from uma.Attempt, hash, plain string) (bool, error) {
	p := &phc{memory: memory, passes: passes, threads: threads, salt: make([]byte, saltBytes), digest: make([]byte, digestBytes)}
	if hash != "" {
		var err error
		p, err = parsePHC(hash)
		if err != nil {
			return false, fmt.Errorf("check a password: %w", err)
		}
	}
	digest, err := h.argon2id(ctx, from, p, len(p.digest), plain)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	same := subtle.ConstantTimeCompare(digest, p.digest) == 1
	return same && hash != "" && plain != "", nil
}

// Waiting is how many wait for a password to be hashed or checked.
func (h *Hasher) Waiting() int { return h.slow.len() }

// argon2id works for one caller at a time. The garbage of past calls is bounded by the
// collector, which waits for the heap to grow by a factor (docs/operations.md has a
// figure). Rejected: a collection forced after sign-ins, which would free it sooner but
// slow all requests meanwhile.
func (h *Hasher) argon2id(ctx context.Context, from uma.Attempt, p *phc, size int, plain string) ([]byte, error) {
	if err := h.slow.enter(ctx, from); err != nil {
		return nil, err
	}
	defer h.slow.leave()
	return argon2.IDKey([]byte(plain), p.salt, p.passes, p.memory, p.threads, uint32(size)), nil
}
