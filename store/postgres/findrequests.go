package postgres

import (
	"context"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// FindRequests implements uma.Shares. Requests that the page skips are only read in an index.
func (v *view) FindRequests(ctx context.Context, server uma.Key, f uma.RequestFilter, first, max int) ([]uma.Request, error) {
	c, p := v.conn(ctx), pageSpec{first, max}
	if f.ScopeID != "" {
		found, err := requestsForScope(c, server, f, p)
		return found, reading("requests for a scope", err)
	}
	args := arguments{[]any{server}}
	ids := requestIDs(&args, f, p.upTo())
	if ids == "" {
		return nil, nil
	}
	query := requestsOf(ids + ` ORDER BY id LIMIT ` + args.add(p.limit()) + ` OFFSET ` + args.add(p.first))
	found, err := list(c, query, args.args, scanRequest)
	return found, reading("requests", err)
}

// requestsOf returns the query for the requests at the resource server $1 with some ids, which are few.
// They are looked up one by one (OFFSET 0), whatever the size of the table is taken for.
func requestsOf(ids string) string {
	return `SELECT` + requestColumns + `FROM (` + ids + `) k CROSS JOIN LATERAL
		(SELECT * FROM request q WHERE q.server = $1 AND q.id = k.id` + byRequestID + ` OFFSET 0) q ORDER BY q.id`
}

// requestsForScope finds requests for a scope, which is given by name or id. Without another filter
// an index finds those of the scope; else the scope of each request that requestIDs finds is
// compared.
func requestsForScope(c *conn, server uma.Key, f uma.RequestFilter, p pageSpec) ([]uma.Request, error) {
	s := search[uma.Request]{scan: scanRequest, keep: func(q uma.Request) bool {
		return (string(q.Scope) == f.ScopeID || q.ScopeID == f.ScopeID) && slices.Contains(rows.States(&f), q.State)
	}}
	s.list = func(limit int) (string, []any) {
		args := arguments{[]any{server}}
		return requestsOf(requestIDs(&args, f, limit) + ` ORDER BY id LIMIT ` + args.add(limit)), args.args
	}
	if (f == uma.RequestFilter{ScopeID: f.ScopeID, Granted: f.Granted, After: f.After}) {
		s.list = func(limit int) (string, []any) { // two scopes, if one's id is the other's name
			return requestsOf(`SELECT x.id FROM (SELECT name FROM scope WHERE server = $1 AND id = $2
				UNION SELECT name FROM scope WHERE server = $1 AND name = $2) s
				CROSS JOIN LATERAL (SELECT q.id FROM live_request q WHERE q.server = $1 AND q.scope = s.name` + byScope + ` AND q.id > $3
					ORDER BY q.id LIMIT $4) x ORDER BY x.id LIMIT $4`), []any{server, f.ScopeID, f.After, limit}
		}
	} else if len(rows.Sides(f)) == 0 {
		return nil, nil
	}
	return s.page(c, p)
}

// CountRequests implements uma.Shares. It counts the entries of the indexes, and reads rows only if a
// scope is to be compared. Requests of a party to itself are on both sides, and are counted once.
func (v *view) CountRequests(ctx context.Context, server uma.Key, f uma.RequestFilter) (total int, err error) {
	args := arguments{[]any{server}}
	var counts []string
	add := func(sign string, side uma.RequestFilter) {
		for _, state := range rows.States(&side) {
			query := requestRange(&args, &side, state)
			if side.ScopeID != "" {
				scope := args.add(side.ScopeID)
				query += ` AND (q.scope = ` + scope + ` OR q.scope_id = ` + scope + `)`
			}
			counts = append(counts, sign+`(SELECT count(*) FROM (`+query+`) x)`)
		}
	}
	sides := rows.Sides(f)
	for _, side := range sides {
		add(`+ `, side)
	}
	if len(sides) == 2 {
		f.Owner, f.Requester = f.Party, f.Party
		add(`- `, f)
	}
	if len(counts) == 0 {
		return 0, nil
	}
	err = v.conn(ctx).row(`SELECT 0 `+strings.Join(counts, ` `), args.args, &total)
	return total, reading("number of requests", err)
}

// requestIDs returns a query for the ids of the requests at the resource server $1 that f describes, the
// first ones up to a limit. It merges the ranges of indexes, one for each side of a party and each state.
// It is empty if there can be none.
func requestIDs(args *arguments, f uma.RequestFilter, limit any) string {
	var ranges []string
	most := ` ORDER BY q.id LIMIT ` + args.add(limit)
	for _, side := range rows.Sides(f) {
		for _, state := range rows.States(&side) {
			ranges = append(ranges, `(`+requestRange(args, &side, state)+most+`)`)
		}
	}
	if len(ranges) == 0 {
		return ""
	}
	return `SELECT u.id FROM (` + strings.Join(ranges, ` UNION `) + `) u`
}

// requestRange returns a query for the ids of the requests of one side in one state at the resource
// server $1. Each filter has an index, in the order of ids. Only the few requests of one user for
// one resource are read in all states and compared.
func requestRange(args *arguments, f *uma.RequestFilter, state string) string {
	from, index := `live_request q WHERE q.server = $1`, byState
	switch {
	case f.Resource != "":
		from, index = `request q WHERE q.resource = (SELECT key FROM resource WHERE server = $1 AND id = `+args.add(f.Resource), byResource
		if f.Owner != "" {
			from += ` AND owner = ` + args.add(f.Owner)
		}
		from += `)`
	case f.Owner != "":
		from, index = from+` AND q.owner = `+args.add(f.Owner), byOwner
	}
	if f.Requester != "" {
		from += ` AND q.requester = ` + args.add(f.Requester)
		index = map[string]string{byState: byRequester, byOwner: byPair}[index] // none with a resource
	}
	if f.After != "" {
		from += ` AND q.id > ` + args.add(f.After)
	}
	return `SELECT q.id FROM ` + from + ` AND q.state = '` + state + `'` + index
}
