package pingam

import (
	"net/http"
	"strings"

	"example.com/umpire/server/wire"
)

// Limits of a list.
const (
	pageSize    = 100
	maxPageSize = 1000
)

// A page is the part of a list that is asked for. A list has no more than
// maxPageSize at a time, whatever is asked for.
type page struct{ size, offset int }

// A listing is what a list answers. There may be more where remaining is not 0.
type listing struct {
	Result      any     `json:"result"`
	Count       int     `json:"resultCount"`
	Cookie      *string `json:"pagedResultsCookie"`
	TotalPolicy string  `json:"totalPagedResultsPolicy"`
	Total       int     `json:"totalPagedResults"`
	Remaining   int     `json:"remainingPagedResults"`
}

// list answers with a page of rows, of which one more than its size was read so
// that it is known whether others follow. The cookie, if there is one, is what
// they follow.
func list[T any](x *wire.Exchange, rows []T, p page, cookie func(last T) string) error {
	l := listing{TotalPolicy: "NONE", Total: -1}
	if len(rows) > p.size {
		rows, l.Remaining = rows[:p.size], -1
		if cookie != nil {
			c := cookie(rows[p.size-1])
			l.Cookie = &c
		}
	}
	l.Result, l.Count = rows, len(rows)
	return x.JSON(http.StatusOK, l)
}

func parsePage(params wire.Form) (p page, err error) {
	if p.size, err = params.Int("_pageSize", 0, 0); err != nil {
		return p, err
	}
	if p.size == 0 {
		p.size = pageSize
	}
	p.size = min(p.size, maxPageSize)
	p.offset, err = params.Int("_pagedResultsOffset", 0, 0)
	return p, err
}

// A policyFilter is what a list of policies is narrowed to; empty members do not
// narrow.
type policyFilter struct{ server, subject string }

// parsePolicyFilter reads a _queryFilter: `true`, or comparisons by `eq` of
// `resourceServer` and `permissions/subject`, joined by `and`.
func parsePolicyFilter(text string) (f policyFilter, err error) {
	bad := wire.Invalid(`_queryFilter must be true, or resourceServer eq "..." and permissions/subject eq "..."`)
	rest := strings.TrimSpace(text)
	if rest == "true" {
		return f, nil
	}
	for {
		var field, operator, value, join string
		var ok bool
		field, rest = word(rest)
		operator, rest = word(rest)
		if value, rest, ok = quoted(rest); !ok || value == "" || operator != "eq" {
			return f, bad
		}
		into := map[string]*string{"resourceServer": &f.server, "permissions/subject": &f.subject}[strings.TrimPrefix(field, "/")]
		if into == nil || *into != "" {
			return f, bad
		}
		*into = value
		if rest == "" {
			return f, nil
		}
		if join, rest = word(rest); !strings.EqualFold(join, "and") {
			return f, bad
		}
	}
}

// word cuts what comes before a blank.
func word(s string) (first, rest string) {
	first, rest, _ = strings.Cut(s, " ")
	return first, strings.TrimLeft(rest, " ")
}

// quoted cuts a JSON string.
func quoted(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	end := 1
	for end < len(s) && s[end] != '"' {
		if s[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(s) {
		return "", s, false
	}
	v, err := wire.ParseJSON(s[:end+1])
	return v.Text, strings.TrimLeft(s[end+1:], " "), err == nil
}
