package grant

import (
	"context"
	"errors"

	"example.com/umpire/uma"
	"example.com/umpire/uma/party"
)

// attempts is how many times a request is read and decided at most, if rows that its grant
// rests on change meanwhile.
const attempts = 4

// Token is the UMA grant: it trades a ticket, or permissions that the client names, for a
// requesting party token (§3.3, and Keycloak's additions). If it refuses the request, the
// Answer still says which client asked and which decisions are on record.
//
// One commit spends the ticket and records the decision, before any token is signed. So no
// ticket is spent on a decision that is not recorded, a request that loses a race costs no
// signature, and a request costs one commit.
func (s *Service) Token(ctx context.Context, realm *uma.Snapshot, caller *party.Caller, req *Request) (*Answer, error) {
	if err := uma.CheckScopes(req.scopes); err != nil {
		return &Answer{}, err
	}
	for attempt := 1; ; attempt++ {
		q, err := s.read(ctx, realm, caller, req)
		if err != nil {
			return s.refuseUndecided(ctx, q, err)
		}
		policy, err := uma.PreparePolicy(ctx, s.Policy, realm)
		if err != nil {
			return &Answer{Client: q.client}, err
		}
		d := s.decide(ctx, q, policy)
		answer, err := s.settle(ctx, q, d)
		moved, ok := errors.AsType[*uma.MovedError](err)
		switch {
		case !ok:
			return answer, err
		case attempt == attempts:
			return s.giveUp(ctx, q, d)
		case moved.Party:
			if realm, err = s.reload(ctx, realm.Realm.Name); err != nil {
				return answer, err
			}
		}
	}
}

// reload reads a realm again, with the changes made since.
func (s *Service) reload(ctx context.Context, realm string) (*uma.Snapshot, error) {
	if err := s.Realms.Reload(ctx); err != nil {
		return nil, err
	}
	return s.Realms.Realm(ctx, realm)
}

// giveUp refuses a request because what its grant rests on changed at each attempt.
func (s *Service) giveUp(ctx context.Context, q *question, d *decisions) (*Answer, error) {
	answer, err := s.recordLost(ctx, q, d, uma.ErrorChanged, uma.Busy)
	if err != nil {
		return answer, err
	}
	return answer, uma.Reject(uma.Busy, uma.Fault{Kind: uma.KeepsChanging}, uma.ErrMoved)
}
