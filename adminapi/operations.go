package adminapi

import (
	"context"
	"strconv"

	"example.com/umpire/uma"
	"example.com/umpire/uma/admin"
)

// Operations are the endpoints of the admin API. Client has their other end.
func (l *Local) Operations() []admin.Operation {
	return []admin.Operation{
		{Name: "policy status", Method: "GET", Path: "/policy", Right: uma.AdminRead, Run: l.status},
		{Name: "policy history", Method: "GET", Path: "/policy/history", Right: uma.AdminRead, Params: []string{"before", "limit"}, Run: l.history},
	}
}

func (l *Local) status(ctx context.Context, c *admin.Call) (any, error) {
	return l.Status(ctx, c.Realm)
}

func (l *Local) history(ctx context.Context, c *admin.Call) (any, error) {
	before, limit, err := readPage(c)
	if err != nil {
		return nil, err
	}
	page, next, err := l.History(ctx, c.Realm, before, limit)
	setNext(c, next)
	return page, err
}

// readPage reads the parameters of a list.
func readPage(c *admin.Call) (before int64, limit int, err error) {
	limit = 50
	if text := c.Query.Get("before"); text != "" {
		if before, err = strconv.ParseInt(text, 10, 64); err != nil || before < 1 {
			return 0, 0, admin.Invalid("before", "want the number of the link to the next page, not %q", text)
		}
	}
	if text := c.Query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MostRows {
			return 0, 0, admin.Invalid("limit", "want a number from 1 to %d, not %q", MostRows, text)
		}
	}
	return before, limit, nil
}

func setNext(c *admin.Call, next int64) {
	if next > 0 {
		c.Next = strconv.FormatInt(next, 10)
	}
}
