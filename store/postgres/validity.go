package postgres

import (
	"context"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Validity implements uma.Tokens.
func (v *view) Validity(ctx context.Context, server uma.Key, grants []uma.Grant) (*uma.Validity, error) {
	st, err := readValidity(v.conn(ctx), server, grants)
	return st, reading("rows that grants rest on", err)
}

func readValidity(c *conn, server uma.Key, grants []uma.Grant) (*uma.Validity, error) {
	ids, shares, scopes := rows.RestedOn(grants)
	found, err := resourcesByID(c, server, ids)
	if err != nil {
		return nil, err
	}
	known, err := knownScopes(c, server, scopes)
	if err != nil {
		return nil, err
	}
	st := rows.ValidityOf(found, known)
	return st, validShares(c, server, shares, st.Shares)
}

// validShares reads granted requests and, if there are ids left, policies. They are looked up one by one
// (OFFSET 0): else PostgreSQL may read all of a resource server that it takes for a small one.
func validShares(c *conn, server uma.Key, ids []string, found map[string]*uma.Share) error {
	if len(ids) == 0 {
		return nil
	}
	args := []any{server, ids}
	err := c.rows(`SELECT`+requestColumns+`FROM unnest($2::text[]) x (id)
		CROSS JOIN LATERAL (SELECT * FROM request q WHERE q.server = $1 AND q.id = x.id`+byRequestID+` OFFSET 0) q
		JOIN resource r ON r.key = q.resource WHERE q.state = 'granted' AND r.owner_managed`,
		args, func(scan scanFunc) error {
			q, err := scanRequest(scan)
			s := rows.ShareOf(&q)
			found[q.ID] = &s
			return err
		})
	if err != nil || len(found) == len(ids) {
		return err
	}
	return c.rows(`SELECT`+shareColumns+`FROM unnest($2::text[]) x (id)
		CROSS JOIN LATERAL (SELECT * FROM share s WHERE s.server = $1 AND s.id = x.id OFFSET 0) s
		JOIN resource r ON r.key = s.resource WHERE r.owner_managed`,
		args, func(scan scanFunc) error {
			s, err := scanShare(scan)
			found[s.ID] = s
			return err
		})
}
