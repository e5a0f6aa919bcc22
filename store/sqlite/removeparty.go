package sqlite

import (
	"context"

	"example.com/umpire/uma"
)

// DeleteParty implements uma.Parties.
func (s *Store) DeleteParty(ctx context.Context, d *uma.PartyRemoval) (*uma.PartyReport, error) {
	p := &partyRemoval{PartyRemoval: d}
	if err := s.write(ctx, p.begin); err != nil {
		return nil, err
	}
	for more := true; more; {
		err := s.writeAlone(ctx, func(tx *conn) (err error) {
			more, err = p.batch(tx)
			return err
		})
		if err != nil {
			return &p.report, err
		}
	}
	return &p.report, nil
}

// A partyRemoval deletes a party in batches.
type partyRemoval struct {
	*uma.PartyRemoval
	party  *uma.User
	report uma.PartyReport
}

// begin checks whether the party may be deleted, and disables it, so that nothing is added
// between the batches.
func (p *partyRemoval) begin(tx *conn) (err error) {
	if p.party, err = partyByID(tx, p.Realm, p.ID); err != nil {
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
		both, err := tx.exists(`SELECT 1 FROM client c CROSS JOIN resource r ON r.server = c.key AND r.owner = ?2
			CROSS JOIN resource o ON o.server = r.server AND o.owner = ?3 AND o.name = r.name WHERE c.realm = ?1 LIMIT 1`,
			int64(p.Realm), p.ID, p.TransferTo)
		if err == nil && both {
			err = uma.ErrConflict
		}
		return reading("resources of both owners", err)
	}
	if p.DeleteResources {
		return nil
	}
	owns, err := tx.exists(ownedBy+` LIMIT 1`, int64(p.Realm), p.ID)
	if err == nil && owns {
		err = uma.ErrConflict
	}
	return reading("resources of a party", err)
}

const ownedBy = `SELECT r.key FROM client c CROSS JOIN resource r ON r.server = c.key AND r.owner = ?2 WHERE c.realm = ?1`

// batch deletes or transfers some of what depends on the party, or, once nothing is left, the
// party. It reports whether there may be more.
func (p *partyRemoval) batch(tx *conn) (more bool, err error) {
	for _, step := range []func(tx *conn) (int, error){p.resources, p.shares, p.requests} {
		if n, err := step(tx); err != nil || n > 0 {
			return true, err
		}
	}
	return false, runAll(tx, []command{
		{`DELETE FROM session INDEXED BY session_user WHERE realm = ? AND user = ?`, []any{int64(p.Realm), p.ID}},
		{`UPDATE user SET identity = NULL WHERE key = ?`, []any{int64(p.party.Key)}},
		{`DELETE FROM identity WHERE user = ?`, []any{int64(p.party.Key)}},
		{`DELETE FROM user WHERE key = ?`, []any{int64(p.party.Key)}},
	})
}

func (p *partyRemoval) resources(tx *conn) (int, error) {
	keys, err := list(tx, ownedBy+` LIMIT ?3 + 0`, []any{int64(p.Realm), p.ID, sweepBatch}, scanKey)
	if err != nil {
		return 0, reading("resources of a party", err)
	}
	for _, key := range keys {
		r, err := resourceRow(tx, `SELECT`+resourceColumns+`FROM resource r WHERE r.key = ?`, int64(key))
		if err != nil {
			return 0, err
		}
		if p.TransferTo == "" {
			if err := removeResource(tx, r); err != nil {
				return 0, err
			}
			p.report.Deleted++
			continue
		}
		next := *r
		next.Owner = p.TransferTo
		if err := transfer(tx, r, &next); err != nil {
			return 0, err
		}
		p.report.Transferred++
	}
	return len(keys), nil
}

// transfer gives a resource another owner. What was granted or asked for by that owner itself
// is deleted: nobody asks himself.
func transfer(tx *conn, r, next *uma.Resource) error {
	_, err := tx.exec(`DELETE FROM request WHERE resource = ? AND requester = ?`, int64(r.Key), next.Owner)
	if err != nil {
		return writing("requests of the new owner", err)
	}
	drifted, err := tx.exists(`SELECT 1 FROM resource WHERE key = ? AND drifted`, int64(r.Key))
	if err != nil {
		return reading("resource", err)
	}
	return updateResource(tx, r, next, uma.FromOwner, drifted) // claims stay claims
}

// shares removes the party from policies that are for it. A policy that keeps its id (see
// removeUserFromShare) is found again, so all are done in one batch.
func (p *partyRemoval) shares(tx *conn) (int, error) {
	keys, err := sharesNaming(tx, p.Realm, p.ID)
	if err != nil {
		return 0, reading("shares that name a party", err)
	}
	for _, key := range keys {
		if err := removeUserFromShare(tx, key, p.ID); err != nil {
			return 0, err
		}
	}
	p.report.Shares = max(p.report.Shares, len(keys))
	return 0, nil
}

func (p *partyRemoval) requests(tx *conn) (int, error) {
	n, err := tx.exec(`DELETE FROM request WHERE key IN (SELECT q.key FROM client c CROSS JOIN request q
		ON q.server = c.key AND q.requester = ?2 WHERE c.realm = ?1 LIMIT ?3 + 0)`, int64(p.Realm), p.ID, sweepBatch)
	p.report.Requests += n
	return n, writing("requests of a party", err)
}
