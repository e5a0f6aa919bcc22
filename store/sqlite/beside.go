package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/umpire/uma"
)

// PendingBeside implements uma.Accounts. The subquery drops what it finds twice;
// what is left is a page, which is sorted here.
func (v *view) PendingBeside(ctx context.Context, requests []uma.Key) ([]uma.Request, error) {
	c, err := v.reader(ctx)
	if err != nil || len(requests) == 0 {
		return nil, err
	}
	found, err := list(c, `SELECT`+requestColumns+`FROM request q WHERE q.key IN
		(SELECT b.key FROM json_each(?) k CROSS JOIN request o ON o.key = k.value
		CROSS JOIN request b ON b.resource = o.resource AND b.requester = o.requester)
		AND q.state = 'pending'`, []any{keysText(requests)}, scanRequest)
	slices.SortFunc(found, func(a, b uma.Request) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), strings.Compare(a.Requester, b.Requester), strings.Compare(string(a.Scope), string(b.Scope)))
	})
	return found, reading("requests", err)
}
