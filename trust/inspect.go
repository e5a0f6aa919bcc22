package trust

import (
	"cmp"
	"context"
	"slices"

	"example.com/umpire/uma"
)

// An Inspection is what an issuer publishes, and what of it would be trusted.
type Inspection struct {
	Discovery string // URL of its discovery document; empty if the realm file says where its keys are
	JWKSURI   string // empty if its keys are in the realm file
	Keys      []InspectedKey
}

// An InspectedKey is a published key.
type InspectedKey struct {
	ID         string   // kid; empty for none
	Type       string   // "RSA 2048", "EC P-256", "Ed25519"; empty if it cannot be read
	Algorithms []string // of the issuer's, for which tokens may be signed by it
	Why        string   // it is not used; empty if it is
}

// Inspect fetches what an issuer publishes, which changes nothing that is held. The error says
// which document cannot be had or read, and why; the Inspection then has what was found before.
func (s *Service) Inspect(ctx context.Context, snap *uma.Snapshot, issuer *uma.TrustedIssuer) (*Inspection, error) {
	from := issuerSource(snap, issuer)
	found := &Inspection{}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Network.Timeout, fetchTime))
	defer cancel()
	var set keySet
	var err error
	if from.JWKS != nil {
		set, err = parseKeys(from.JWKS)
	} else {
		if from.JWKSURI == "" {
			found.Discovery = discoveryURL(from.Issuer)
		}
		found.JWKSURI, set, err = s.fetch(ctx, from)
	}
	for _, k := range set.keys {
		seen := InspectedKey{ID: k.ID, Type: k.name()}
		seen.Algorithms = slices.DeleteFunc(slices.Clone(issuer.Algorithms), func(alg string) bool { return !k.fits(alg) })
		if len(seen.Algorithms) == 0 {
			seen.Why = "it is for none of the issuer's algorithms"
		}
		found.Keys = append(found.Keys, seen)
	}
	for _, k := range set.unused {
		found.Keys = append(found.Keys, InspectedKey{ID: k.id, Why: k.why})
	}
	return found, err
}
