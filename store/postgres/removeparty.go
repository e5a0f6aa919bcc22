package postgres

import (
	"context"

	"example.com/umpire/uma"
)

// partyBatch is how many resources or requests of a party are deleted, and from how many policies it is removed, in one
// transaction.
const partyBatch = 100

// DeleteParty implements uma.Parties.
func (s *Store) DeleteParty(ctx context.Context, d *uma.PartyRemoval) (*uma.PartyReport, error) {
	p := &partyRemoval{PartyRemoval: d}
	if err := s.write(ctx, p.begin); err != nil {
		return nil, err
	}
	for before := p.partyProgress; ; before = p.partyProgress {
		more := false
		err := s.write(ctx, func(tx *conn) (err error) {
			p.partyProgress = before // it may run again
			more, err = p.batch(tx)
			return err
		})
		if err != nil {
			return &before.report, err
		}
		if !more {
			return &p.report, nil
		}
	}
}

// A partyRemoval deletes a party in batches.
type partyRemoval struct {
	*uma.PartyRemoval
	partyProgress
	party *uma.User
}

// A partyProgress is what the batches until now have done.
type partyProgress struct {
	report uma.PartyReport
	policy uma.Key // the last from which the party was removed
}

// begin checks whether the party may be deleted, and disables it, so that nothing is added
// between the batches.
func (p *partyRemoval) begin(tx *conn) (err error) {
	if p.party, err = lockParty(tx, p.Realm, p.ID); err != nil {
		return err
	}
	if err := p.check(tx); err != nil {
		return err
	}
	if p.party.Enabled {
		return setEnabled(tx, p.Realm, p.party, false)
	}
	return nil
}

func (p *partyRemoval) check(tx *conn) error {
	if p.TransferTo != "" {
		if _, err := userByID(tx, p.Realm, p.TransferTo); err != nil {
			return reading("user to transfer to", err)
		}
		both, err := tx.exists(ownedBy+` AND EXISTS (SELECT 1 FROM resource o
			WHERE o.server = r.server AND o.owner = $3 AND o.name = r.name) LIMIT 1`, p.Realm, p.ID, p.TransferTo)
		if err == nil && both {
			err = uma.ErrConflict
		}
		return reading("resources of both owners", err)
	}
	if p.DeleteResources {
		return nil
	}
	owns, err := tx.exists(ownedBy+` LIMIT 1`, p.Realm, p.ID)
	if err == nil && owns {
		err = uma.ErrConflict
	}
	return reading("resources of a party", err)
}

const ownedBy = `SELECT r.key FROM client c JOIN resource r ON r.server = c.key AND r.owner = $2 WHERE c.realm = $1`

// batch deletes or transfers some of what depends on the party, or, once nothing is left, the
// party. It reports whether there may be more.
func (p *partyRemoval) batch(tx *conn) (more bool, err error) {
	for _, step := range []func(tx *conn) (int, error){p.resources, p.shares, p.requests, p.sessions} {
		if n, err := step(tx); err != nil || n > 0 {
			return true, err
		}
	}
	key := []any{p.party.Key}
	_, err = tx.all(
		command{query: `UPDATE users SET identity = NULL WHERE key = $1`, args: key}, // locked: nobody links another identity
		command{query: `DELETE FROM identity WHERE user_key = $1`, args: key},
		command{query: `DELETE FROM users WHERE key = $1`, args: key})
	return false, writing("party", err)
}

func (p *partyRemoval) resources(tx *conn) (int, error) {
	keys, err := list(tx, ownedBy+` LIMIT $3`, []any{p.Realm, p.ID, partyBatch}, scanKey)
	if err != nil || len(keys) == 0 {
		return 0, reading("resources of a party", err)
	}
	locked, err := lockResources(tx, keys)
	if err != nil {
		return 0, err
	}
	var commands []command
	for _, l := range locked {
		switch {
		case l.Owner != p.ID: // it was given to another meanwhile
		case p.TransferTo == "":
			commands = append(commands, removal(l.Resource, l.self)...)
			p.report.Deleted++
		default:
			if err := transfer(tx, l, p.TransferTo); err != nil {
				return 0, err
			}
			p.report.Transferred++
		}
	}
	_, err = tx.all(commands...)
	return len(keys), writing("resources of a party", err)
}

// transfer gives a resource another owner. What was granted or asked for by that owner itself
// is deleted: nobody asks himself.
func transfer(tx *conn, l lockedResource, to string) error {
	next := *l.Resource
	next.Owner = to
	had, err := claimsOf(tx, l.Resource)
	if err != nil {
		return err
	}
	u := replacement{old: l.Resource, next: &next, self: l.self, had: had, by: uma.FromOwner, drifted: l.drifted} // claims stay claims
	return u.write(tx, command{query: `DELETE FROM request WHERE resource = $1 AND requester = $2`, args: []any{l.Key, to}})
}

// shares removes the party from some policies that are for it, in the order of their keys: one that keeps its id
// (see removeUserFromShare) must not be found again. None is added: the party is disabled.
func (p *partyRemoval) shares(tx *conn) (int, error) {
	n, err := removeUserFromShares(tx, p.Realm, p.ID, &p.policy)
	p.report.Shares += n
	return n, err
}

func (p *partyRemoval) requests(tx *conn) (int, error) {
	n, err := tx.exec(`DELETE FROM request WHERE key = ANY(ARRAY(SELECT q.key FROM client c JOIN request q
		ON q.server = c.key AND q.requester = $2`+byRequester+` WHERE c.realm = $1 LIMIT $3)) AND requester = $2`, p.Realm, p.ID, partyBatch)
	p.report.Requests += n
	return n, writing("requests of a party", err)
}

func (p *partyRemoval) sessions(tx *conn) (int, error) {
	n, err := deleteSessions(tx, `user_id`, p.Realm, p.ID)
	return n, writing("sessions of a party", err)
}
