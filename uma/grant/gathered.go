package grant

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

const (
	// gatheredFor is how long a ticket and its successors remember a proof at most: as long as
	// a key that an issuer withdraws is still believed.
	gatheredFor = 10 * time.Minute

	// maxProofs and maxGathered bound how many proofs are remembered, and all of them together,
	// in bytes. The oldest ones are forgotten.
	maxProofs   = 8
	maxGathered = 2 * uma.MaxPushed
)

// A Sealer seals the claims that a ticket remembers.
type Sealer interface {
	Seal(plain, context []byte) []byte
	Open(sealed, context []byte) ([]byte, error)
}

// gatheredClaims are what the rounds of a ticket gathered: one client presented it about one
// party.
type gatheredClaims struct {
	Generation int64               `json:"generation"` // of the realm whose settings all proofs kept to
	Pushed     map[string][]string `json:"pushed,omitempty"`
	Proofs     []*proof            `json:"proofs,omitempty"` // the newest last
}

// add adds a proof. What the same subject of the same issuer said before gives way.
func (g *gatheredClaims) add(p *proof) {
	for _, former := range g.Proofs {
		if former.Issuer == p.Issuer && former.Subject == p.Subject {
			former.Claims = maps.Clone(former.Claims)
			maps.DeleteFunc(former.Claims, func(name string, _ any) bool { _, anew := p.Claims[name]; return anew })
		}
	}
	g.Proofs = slices.DeleteFunc(g.Proofs, func(former *proof) bool { return len(former.Claims) == 0 })
	g.Proofs = append(g.Proofs, p)
	if extra := len(g.Proofs) - maxProofs; extra > 0 {
		g.Proofs = g.Proofs[extra:]
	}
}

// push adds claims that the client pushed. Those of earlier rounds give way, all of them if
// together they are too large.
func (g *gatheredClaims) push(pushed map[string][]string) {
	all := maps.Clone(g.Pushed)
	if all == nil {
		all = map[string][]string{}
	}
	maps.Copy(all, pushed)
	if uma.SizeOfClaims(all) > uma.MaxPushed {
		all = pushed
	}
	g.Pushed = all
}

// input returns the proofs as the policy sees them, and the claims that count as verified. What
// two subjects, or two issuers, say differently counts for neither.
func (g *gatheredClaims) input() ([]uma.InputClaimToken, map[string]any) {
	if len(g.Proofs) == 0 {
		return nil, nil
	}
	verified, contested := map[string]any{}, map[string]bool{}
	for _, p := range g.Proofs {
		for name, value := range p.Claims {
			if other, ok := verified[name]; ok && !reflect.DeepEqual(other, value) {
				contested[name] = true
			}
			verified[name] = value
		}
	}
	maps.DeleteFunc(verified, func(name string, _ any) bool { return contested[name] || strings.HasPrefix(name, "kc.") })
	var tokens []uma.InputClaimToken
	for _, p := range g.Proofs {
		seen := uma.InputClaimToken{Format: p.Format, Issuer: p.Issuer, Verified: true, Bound: true, Claims: p.Claims}
		var differ []string
		for name := range p.Claims {
			if contested[name] {
				differ = append(differ, name)
			}
		}
		if slices.Sort(differ); len(differ) > 0 {
			seen.Reason = "another issuer says otherwise: " + strings.Join(differ, ", ")
		}
		tokens = append(tokens, seen)
	}
	return tokens, verified
}

// sealGathered returns what the ticket after this one remembers.
func (s *Service) sealGathered(q *question) []byte {
	if q.claims.kept == nil {
		return q.ticket.Gathered
	}
	g := *q.claims.kept
	g.Generation = q.realm.Realm.Generation
	for {
		if len(g.Proofs)+len(g.Pushed) == 0 {
			return nil
		}
		plain, err := json.Marshal(g)
		if err == nil && len(plain) <= maxGathered {
			return s.Sealer.Seal(plain, q.gatheredBy())
		}
		if len(g.Proofs) == 0 {
			return nil // nothing that JSON can have
		}
		g.Proofs = g.Proofs[1:]
	}
}

// gatheredBy is the context of the seal: the client and the party that claims were gathered by.
func (q *question) gatheredBy() []byte {
	context, _ := json.Marshal([]string{"claims of a ticket", q.realm.Realm.Name, q.client.ID, q.party.Subject}) // texts have JSON
	return context
}

// openGathered returns what the rounds before this one gathered, as far as it still counts: as
// if every token was presented again. It is empty if another party asks now.
func (s *Service) openGathered(ctx context.Context, view uma.View, q *question) (*gatheredClaims, error) {
	g := &gatheredClaims{}
	if q.ticket == nil || q.ticket.Gathered == nil {
		return g, nil
	}
	plain, err := s.Sealer.Open(q.ticket.Gathered, q.gatheredBy())
	if err != nil { // of another party, or sealed with a key that is gone: the client is asked again
		return g, nil
	}
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.UseNumber()
	if err := dec.Decode(g); err != nil {
		return nil, fmt.Errorf("read the claims that a ticket remembers: %w", err)
	}
	if q.client.Public {
		g.Pushed = nil
	}
	var kept []*proof
	for _, p := range g.Proofs {
		switch counts, err := s.stillCounts(ctx, view, q, g, p); {
		case err != nil:
			return nil, err
		case counts:
			kept = append(kept, p)
		}
	}
	g.Proofs = kept
	return g, nil
}

// stillCounts reports whether a proof of an earlier round counts: its token has not expired,
// the realm is as it was, and it is still about the party.
func (s *Service) stillCounts(ctx context.Context, view uma.View, q *question, g *gatheredClaims, p *proof) (bool, error) {
	switch {
	case p.Expires <= q.now.Unix() || g.Generation != q.realm.Realm.Generation:
		return false, nil
	case p.Own == nil:
		return q.binds(ctx, view, p)
	}
	_, err := s.Party.Identify(ctx, view, q.realm, p.Own)
	if errors.Is(err, party.ErrInactive) {
		return false, nil
	}
	return err == nil, err
}
