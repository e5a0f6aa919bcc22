package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// PendingBeside implements uma.Accounts. The subquery removes duplicates; what remains
// is a page, which is sorted here.
func (v *view) PendingBeside(ctx context.Context, requests []uma.Key) ([]uma.Request, error) {
	c := v.reader(ctx)
	if len(requests) == 0 {
		return nil, nil
	}
	found, err := list(c, `SELECT`+requestColumns+`FROM live_request q WHERE q.key IN
		(SELECT b.key FROM json_each(?) k CROSS JOIN request o ON o.key = k.value
		CROSS JOIN request b ON b.resource = o.resource AND b.requester = o.requester)
		AND q.state = 'pending'`, []any{rows.KeysText(requests)}, scanRequest)
	slices.SortFunc(found, func(a, b uma.Request) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), strings.Compare(a.Requester, b.Requester), strings.Compare(string(a.Scope), string(b.Scope)))
	})
	return found, reading("requests", err)
}

// SharesAfter implements uma.Shares. It reads the policies of a resource server in the
// order of their ids, and compares each with the filter.
func (v *view) SharesAfter(ctx context.Context, server uma.Key, p uma.UserPoliciesOf, after string, max int) ([]*uma.Share, error) {
	c := v.reader(ctx)
	query, args := `SELECT`+shareColumns+`FROM share s WHERE s.server = ? AND s.id > ?`, []any{int64(server), after}
	if p.Owner != "" {
		query, args = query+` AND +s.owner = ?`, append(args, p.Owner)
	}
	if p.Resource != "" {
		query, args = query+` AND +s.resource_id = ?`, append(args, string(p.Resource))
	}
	if p.User != "" {
		query, args = query+` AND ? IN (SELECT value FROM json_each(s.users))`, append(args, p.User)
	}
	found, err := list(c, query+` ORDER BY s.id LIMIT ? + 0`, append(args, max), scanShare)
	return found, reading("shares", err)
}
