package phc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Bounds of the parameters. A hash that costs more than these would delay all other
// sign-ins; OWASP advises no less memory than 7 MiB. Memory is in KiB, the others in
// bytes.
const (
	minMemory, maxMemory  = 7 << 10, 128 << 10
	maxPasses, maxThreads = 10, 8
	minSalt, maxSalt      = 8, 64
	minDigest, maxDigest  = 16, 64
)

const (
	name  = "$argon2id$v=19$"
	costs = "m=%d,t=%d,p=%d"
)

// ErrFormat is the error for text that is no PHC string of argon2id, version 19, and
// ErrBounds for one whose parameters are out of bounds.
var (
	ErrFormat = errors.New("not an argon2id PHC string of version 19")
	ErrBounds = fmt.Errorf("parameters out of bounds: m %d to %d, t 1 to %d, p 1 to %d, salt %d to %d bytes, hash %d to %d",
		minMemory, maxMemory, maxPasses, maxThreads, minSalt, maxSalt, minDigest, maxDigest)
)

// A Hash is an argon2id hash and its parameters. Memory is in KiB.
type Hash struct {
	Memory, Passes, Threads uint32
	Salt, Digest            []byte
}

// String returns $argon2id$v=19$m=…,t=…,p=…$salt$hash.
func (h *Hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf(name+costs+"$%s$%s", h.Memory, h.Passes, h.Threads, b64(h.Salt), b64(h.Digest))
}

// Parse reads such a string. It returns ErrFormat or ErrBounds, which do not quote it.
func Parse(s string) (*Hash, error) {
	fields := strings.Split(s, "$")
	if len(fields) != 6 {
		return nil, ErrFormat
	}
	h := new(Hash)
	_, errCosts := fmt.Sscanf(fields[3], costs, &h.Memory, &h.Passes, &h.Threads)
	var errSalt, errDigest error
	h.Salt, errSalt = base64.RawStdEncoding.DecodeString(fields[4])
	h.Digest, errDigest = base64.RawStdEncoding.DecodeString(fields[5])
	// Whatever the three readers skip, such as line ends, is missing from String.
	if errors.Join(errCosts, errSalt, errDigest) != nil || h.String() != s {
		return nil, ErrFormat
	}
	if !within(h.Memory, minMemory, maxMemory) || !within(h.Passes, 1, maxPasses) || !within(h.Threads, 1, maxThreads) ||
		!within(len(h.Salt), minSalt, maxSalt) || !within(len(h.Digest), minDigest, maxDigest) {
		return nil, ErrBounds
	}
	return h, nil
}

func within[N int | uint32](n, least, most N) bool { return least <= n && n <= most }
