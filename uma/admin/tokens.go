package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/umpire/uma"
)

// Tokens are the tokens of the admin API.
type Tokens struct {
	Store uma.AdminTokens
	Now   func() time.Time
	NewID func() string
}

// tokenPrefix begins every token, so that programs which search for secrets find them.
const tokenPrefix = "umpire_admin_"

// Limits of what is kept of a token, in bytes.
const (
	maxTokenName = 64
	maxTokenNote = 1024
)

// ErrInvalidToken refuses a token.
var ErrInvalidToken = errors.New("not created")

// Create makes a token with the realm, name, right, note, author and expiry of t, and fills
// in the rest. It returns the secret, which is not kept. Errors are those of
// uma.AdminTokens, and ErrInvalidToken for a name, right, note or expiry that cannot be.
func (s *Tokens) Create(ctx context.Context, t *uma.AdminToken) (secret string, err error) {
	if err := s.check(t); err != nil {
		return "", err
	}
	secret = tokenPrefix + uma.NewSecret()
	t.ID, t.Created, t.Hash = s.NewID(), s.Now().UTC(), uma.Digest(secret)
	if err := s.Store.CreateAdminToken(ctx, t); err != nil {
		return "", err
	}
	return secret, nil
}

func (s *Tokens) check(t *uma.AdminToken) error {
	switch {
	case t.Name == "" || len(t.Name) > maxTokenName || strings.ContainsFunc(t.Name, notOfName):
		return fmt.Errorf("%w: the name of a token has letters, digits and ._- and at most %d of them, not %q", ErrInvalidToken, maxTokenName, t.Name)
	case t.Right != uma.AdminRead && t.Right != uma.AdminPolicy:
		return fmt.Errorf("%w: a token can %s or %s, not %q", ErrInvalidToken, uma.AdminRead, uma.AdminPolicy, t.Right)
	case len(t.Note) > maxTokenNote:
		return fmt.Errorf("%w: the note of a token has at most %d bytes, not %d", ErrInvalidToken, maxTokenNote, len(t.Note))
	case !t.Expires.IsZero() && !t.Expires.After(s.Now()):
		return fmt.Errorf("%w: it would have expired already", ErrInvalidToken)
	}
	return nil
}

func notOfName(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
}

// Find returns the token with a secret, or uma.ErrNotFound if there is none or it has ended.
func (s *Tokens) Find(ctx context.Context, secret string) (*uma.AdminToken, error) {
	if len(secret) > 2*len(tokenPrefix)+64 || !strings.HasPrefix(secret, tokenPrefix) {
		return nil, fmt.Errorf("admin token: %w", uma.ErrNotFound)
	}
	t, err := s.Store.AdminToken(ctx, uma.Digest(secret))
	if err != nil {
		return nil, err
	}
	if t.Ended(s.Now()) {
		return nil, fmt.Errorf("admin token %s has ended: %w", t.Name, uma.ErrNotFound)
	}
	return t, nil
}
