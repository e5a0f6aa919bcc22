package trust

import (
	"context"

	"example.com/umpire/uma"
)

// Verify implements uma.Trust.
func (s *Service) Verify(context.Context, *uma.Snapshot, string) (*uma.TrustedToken, error) {
	return nil, &uma.TrustError{Why: "tokens of other issuers are not verified yet"}
}

// VerifyAssertion implements uma.Trust.
func (s *Service) VerifyAssertion(context.Context, *uma.Snapshot, []string, string) (*uma.Assertion, error) {
	return nil, &uma.TrustError{Why: "assertions are not verified yet"}
}
