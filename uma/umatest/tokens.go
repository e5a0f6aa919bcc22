package umatest

import (
	"context"
	"crypto/sha256"
	"encoding/json"

	"example.com/umpire/uma"
)

type fakeHasher struct {
	uma.Hasher
	w *World
}

func (h fakeHasher) Secret(ctx context.Context, plain string) ([]byte, error) {
	return h.w.Secret(plain), ctx.Err()
}

func (h fakeHasher) CheckPassword(_ context.Context, _ uma.Attempt, hash, plain string) (bool, error) {
	h.w.computes("check a password")
	return hash != "" && hash == plain, nil
}

func (h fakeHasher) Password(_ context.Context, plain string) (string, error) {
	h.w.computes("hash a password")
	return plain, nil
}

func (h fakeHasher) Fingerprint(ctx context.Context, content []byte) ([]byte, error) {
	return h.Secret(ctx, string(content))
}

// computes is told of what takes long. There are few readers: a view that is open
// meanwhile takes one from the others, and keeps the write-ahead log from being reset.
func (w *World) computes(what string) {
	w.Helper()
	w.step(what)
	if w.View.Open != 0 {
		w.Errorf("%s while %d views are open", what, w.View.Open)
	}
}

func (w *World) Secret(plain string) []byte {
	sum := sha256.Sum256([]byte(plain))
	return sum[:]
}

type fakeVerifier struct {
	uma.Verifier
	w *World
}

func (v fakeVerifier) Verify(ctx context.Context, _ *uma.Snapshot, _, raw string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := v.w.Tokens[raw]
	if c == nil || c.Type == uma.TypeRefresh {
		return nil, uma.ErrUnverified
	}
	if !v.w.kept[raw] { // as the verifier keeps what it has verified
		v.w.kept[raw] = true
		if v.w.whole && v.w.View.Open != 0 {
			v.w.Errorf("the signature of %s is checked while %d views are open", raw, v.w.View.Open)
		}
	}
	return c, nil
}

func (v fakeVerifier) VerifyRefresh(ctx context.Context, _ *uma.Snapshot, _, raw string) (*uma.Claims, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c := v.w.Tokens[raw]; c != nil && c.Type == uma.TypeRefresh {
		return c, nil
	}
	return nil, uma.ErrUnverified
}

func (v fakeVerifier) VerifyTicket(ctx context.Context, s *uma.Snapshot, issuer, raw string) (*uma.Claims, error) {
	return v.Verify(ctx, s, issuer, raw)
}

type fakeIssuer struct {
	uma.Issuer
	w *World
}

func (i fakeIssuer) Sign(ctx context.Context, _ *uma.Snapshot, c *uma.Claims) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i.w.computes("sign")
	i.w.Signed = append(i.w.Signed, c)
	raw, err := json.Marshal(c)
	return string(raw), err
}

func (i fakeIssuer) NewKey(context.Context, string) (uma.SigningKey, error) {
	return uma.SigningKey{}, nil
}

func (i fakeIssuer) Length(*uma.Snapshot, *uma.Claims) (int, error) { return 1000, nil }

func (i fakeIssuer) SignOwn(ctx context.Context, s *uma.Snapshot, c *uma.Claims) (string, error) {
	return i.Sign(ctx, s, c)
}
