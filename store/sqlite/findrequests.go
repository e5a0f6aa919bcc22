package sqlite

import (
	"context"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// FindRequests implements uma.Shares. Requests that the page skips are only read in an
// index.
func (v *view) FindRequests(ctx context.Context, server uma.Key, f uma.RequestFilter, first, max int) ([]uma.Request, error) {
	c := v.reader(ctx)
	if f.ScopeID != "" {
		found, err := requestsForScope(c, server, f, pageSpec{first, max})
		return found, reading("requests for a scope", err)
	}
	keys, args := requestKeys(server, f)
	found, err := list(c, pageOfRequests(keys), pageSpec{first, max}.limit(args), scanRequest)
	return found, reading("requests", err)
}

func pageOfRequests(keys string) string {
	return `SELECT` + requestColumns + `FROM (` + keys + ` ORDER BY 2 LIMIT ? + 0 OFFSET ?) k CROSS JOIN request q ON q.key = k.key`
}

// requestsForScope finds requests for a scope, which is given by name or id. Without
// another filter an index finds those of the scope; else the scope of each request that
// requestKeys finds is compared.
func requestsForScope(c *conn, server uma.Key, f uma.RequestFilter, p pageSpec) ([]uma.Request, error) {
	matches := func(q uma.Request) bool {
		return (string(q.Scope) == f.ScopeID || q.ScopeID == f.ScopeID) && slices.Contains(rows.States(&f), q.State)
	}
	keys, args := requestKeys(server, f)
	if (f == uma.RequestFilter{ScopeID: f.ScopeID, Granted: f.Granted, After: f.After}) {
		names, err := texts[string](c, `SELECT name FROM scope WHERE server = ?1 AND id = ?2 UNION SELECT name FROM scope WHERE server = ?1 AND name = ?2`,
			int64(server), f.ScopeID)
		if err != nil || len(names) == 0 {
			return nil, err
		}
		keys, args = "", nil
		for i, name := range names { // two, if one's id is the other's name
			if i > 0 {
				keys += ` UNION `
			}
			keys += `SELECT q.key, q.id FROM live_request q WHERE q.server = ? AND q.scope = ? AND q.id > ?`
			args = append(args, int64(server), name, f.After)
		}
	}
	return filterPage(c, pageOfRequests(keys), wholeList.limit(args), scanRequest, matches, p)
}

// CountRequests implements uma.Shares. It counts the entries of the indexes, and reads
// rows only if a scope is to be compared. Requests of a party to itself are on both
// sides, and are counted once.
func (v *view) CountRequests(ctx context.Context, server uma.Key, f uma.RequestFilter) (int, error) {
	c := v.reader(ctx)
	of := rows.Sides(f)
	total := 0
	for _, side := range of {
		n, err := countRequests(c, server, &side)
		if err != nil {
			return 0, err
		}
		total += n
	}
	if len(of) == 2 {
		f.Owner, f.Requester = f.Party, f.Party
		n, err := countRequests(c, server, &f)
		return total - n, err
	}
	return total, nil
}

func countRequests(c *conn, server uma.Key, side *uma.RequestFilter) (int, error) {
	total := 0
	for _, state := range rows.States(side) {
		keys, args := requestRange(server, side, state)
		if side.ScopeID != "" {
			keys, args = keys+` AND (+q.scope = ? OR +q.scope_id = ?)`, append(args, side.ScopeID, side.ScopeID)
		}
		var n int64
		if err := c.row(`SELECT count(*) FROM (`+keys+`)`, args, &n); err != nil {
			return 0, reading("number of requests", err)
		}
		total += int(n)
	}
	return total, nil
}

// requestKeys returns a query for the keys and ids of the requests that f describes. It
// merges the ranges of indexes, one for each side of a party and each state, in the
// order of ids.
func requestKeys(server uma.Key, f uma.RequestFilter) (string, []any) {
	var ranges []string
	var args []any
	for _, side := range rows.Sides(f) {
		for _, state := range rows.States(&side) {
			query, more := requestRange(server, &side, state)
			ranges, args = append(ranges, query), append(args, more...)
		}
	}
	if len(ranges) == 0 {
		return `SELECT q.key, q.id FROM request q WHERE q.key = -1`, nil
	}
	return strings.Join(ranges, ` UNION `), args
}

// requestRange returns a query for the requests of one side in one state. Each filter
// has an index. Only the few requests of one user for one resource are read in all
// states and compared.
func requestRange(server uma.Key, f *uma.RequestFilter, state string) (string, []any) {
	from, where, args := `live_request q`, `q.server = ?`, []any{int64(server)}
	add := func(condition string, value string) {
		if value != "" {
			where, args = where+` AND `+condition, append(args, value)
		}
	}
	if f.Resource != "" {
		from, where = `resource r CROSS JOIN request q ON q.resource = r.key`, `r.server = ?`
		add(`r.id = ?`, string(f.Resource))
		add(`r.owner = ?`, f.Owner)
	} else {
		add(`q.owner = ?`, f.Owner)
	}
	add(`q.requester = ?`, f.Requester)
	if f.Resource != "" && f.Requester != "" {
		add(`+q.state = ?`, state)
	} else {
		add(`q.state = ?`, state)
	}
	add(`q.id > ?`, f.After)
	return `SELECT q.key, q.id FROM ` + from + ` WHERE ` + where, args
}
