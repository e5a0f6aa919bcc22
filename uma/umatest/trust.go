package umatest

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"example.com/umpire/uma"
)

// Trust verifies the tokens and assertions that it has.
type Trust struct {
	Tokens     map[string]*uma.TrustedToken
	Assertions map[string]*uma.Assertion
	Audience   string // of all assertions
	Err        error  // of all calls; nil: none
}

// Verify implements uma.Trust.
func (f *Trust) Verify(_ context.Context, _ *uma.Snapshot, raw string) (*uma.TrustedToken, error) {
	switch t := f.Tokens[raw]; {
	case f.Err != nil:
		return nil, f.Err
	case t == nil:
		return nil, &uma.TrustError{Why: "no token that umatest has"}
	default:
		return t, nil
	}
}

// VerifyAssertion implements uma.Trust.
func (f *Trust) VerifyAssertion(_ context.Context, _ *uma.Snapshot, audiences []string, raw string) (*uma.Assertion, error) {
	switch a := f.Assertions[raw]; {
	case f.Err != nil:
		return nil, f.Err
	case a == nil || !slices.Contains(audiences, f.Audience):
		return nil, &uma.TrustError{Why: "no assertion that umatest has"}
	default:
		return a, nil
	}
}

// A Sealer seals nothing, but opens only with the context that something was sealed for.
type Sealer struct{}

// Seal implements grant.Sealer.
func (Sealer) Seal(plain, context []byte) []byte { return slices.Concat(context, []byte("|"), plain) }

// Wrap implements admin.Sealer.
func (s Sealer) Wrap(_ context.Context, plain, about []byte) ([]byte, error) {
	return s.Seal(plain, about), nil
}

// Open implements grant.Sealer.
func (Sealer) Open(sealed, context []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(sealed, slices.Concat(context, []byte("|")))
	if !ok {
		return nil, errors.New("sealed for something else")
	}
	return plain, nil
}
