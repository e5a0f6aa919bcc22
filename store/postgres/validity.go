package postgres

import (
	"context"
	"maps"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// Validity implements uma.Tokens.
func (v *view) Validity(ctx context.Context, server uma.Key, grants []uma.Grant) (*uma.Validity, error) {
	st, err := readValidity(v.conn(ctx), server, grants)
	return st, reading("rows that grants rest on", err)
}

// readValidity takes one round trip.
func readValidity(c *conn, server uma.Key, grants []uma.Grant) (*uma.Validity, error) {
	ids, shares, scopes := rows.RestedOn(grants)
	var resources []*uma.Resource
	var known []uma.ScopeRow
	valid := map[string]*uma.Share{}
	var questions []question
	if len(ids) > 0 {
		questions = append(questions, question{resourcesWithIDs, []any{server, array(ids)}, func(scan scanFunc) error {
			r, err := scanResource(scan)
			if err != nil {
				return err
			}
			resources = append(resources, r)
			return c.spend(rows.ResourceSize(r))
		}})
	}
	if len(scopes) > 0 {
		questions = append(questions, question{scopesWithNames, []any{server, array(scopes)}, func(scan scanFunc) error {
			row, err := scanScope(scan)
			known = append(known, row)
			return err
		}})
	}
	if len(shares) > 0 {
		questions = append(questions, validShares(server, shares, valid)...)
	}
	if err := c.ask(questions...); err != nil {
		return nil, err
	}
	st := rows.ValidityOf(resources, known)
	maps.Copy(st.Shares, valid)
	return st, nil
}

// validShares ask for granted requests and policies. They are looked up one by one (OFFSET 0): else
// PostgreSQL may read all of a resource server that it takes for a small one.
func validShares(server uma.Key, ids []string, found map[string]*uma.Share) []question {
	args := []any{server, ids}
	return []question{
		{`SELECT` + requestColumns + `FROM unnest($2::text[]) x (id)
			CROSS JOIN LATERAL (SELECT * FROM request q WHERE q.server = $1 AND q.id = x.id` + byRequestID + ` OFFSET 0) q
			JOIN resource r ON r.key = q.resource WHERE q.state = 'granted' AND r.owner_managed`,
			args, func(scan scanFunc) error {
				q, err := scanRequest(scan)
				s := rows.ShareOf(&q)
				found[q.ID] = &s
				return err
			}},
		{`SELECT` + shareColumns + `FROM unnest($2::text[]) x (id)
			CROSS JOIN LATERAL (SELECT * FROM share s WHERE s.server = $1 AND s.id = x.id OFFSET 0) s
			JOIN resource r ON r.key = s.resource WHERE r.owner_managed`,
			args, func(scan scanFunc) error {
				s, err := scanShare(scan)
				if err == nil && found[s.ID] == nil {
					found[s.ID] = s
				}
				return err
			}},
	}
}
