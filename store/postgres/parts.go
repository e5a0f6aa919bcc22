package postgres

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"example.com/umpire/uma"
)

const (
	// maxPartHits is how many resources the index of parts may find. Beyond that it is faster
	// to read resources in the order of names, because enough of them match.
	maxPartHits = 2000

	// partPatience is how long it may look for them.
	partPatience = 250 * time.Millisecond
)

// placesNamed finds the resources of some resource servers with these parts of their folded names and
// types in resource_part, sorted. found is false if they are too many, or if none of the parts is long enough.
//
// The index intersects the resources of the server and those of each trigram, and finds all of them
// before the first is read. Only time bounds that: for trigrams that are each in millions of names
// of the server.
func placesNamed(c *conn, servers []uma.Key, name, typ string) (places []place, found bool, err error) {
	q := &arguments{}
	query := `SELECT p.name, p.id, p.server, p.key FROM unnest(` + q.add(servers) + `::bigint[]) x (server) CROSS JOIN LATERAL (
		SELECT r.name, r.id, r.server, r.key FROM resource r WHERE r.server = x.server`
	if hasTrigram(name) {
		query += ` AND r.name_folded LIKE ` + q.add(likePart(name))
	}
	if hasTrigram(typ) {
		query += ` AND r.type_folded LIKE ` + q.add(likePart(typ))
	}
	if len(q.args) == 1 {
		return nil, false, nil
	}
	query += ` LIMIT ` + q.add(maxPartHits+1) + `) p LIMIT ` + q.add(maxPartHits+1)
	inTime, err := c.briefly(partPatience, func() error {
		places, err = list(c, query, q.args, scanServerPlace)
		return err
	})
	if err != nil || !inTime || len(places) > maxPartHits {
		return nil, false, err
	}
	slices.SortFunc(places, place.compare)
	return places, true, nil
}

// hasTrigram reports whether a part has three letters or digits that follow each other, as the
// index needs: pg_trgm leaves out all other characters.
func hasTrigram(part string) bool {
	run := 0
	for _, r := range part {
		if run++; !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// likePart is the pattern of texts that have a part.
func likePart(part string) string {
	return `%` + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(part) + `%`
}

// briefly calls f, which only reads, and reports whether its statements ended in time. Their plans use
// indexes that find all rows before the first is read.
func (c *conn) briefly(patience time.Duration, f func() error) (inTime bool, err error) {
	_, err = c.all(command{query: `SAVEPOINT briefly`}, command{
		query: `SELECT set_config('statement_timeout', $1, true), set_config('enable_indexscan', 'off', true),
			set_config('plan_cache_mode', 'force_custom_plan', true)`,
		args: []any{strconv.FormatInt(patience.Milliseconds(), 10)}})
	if err != nil {
		return false, err
	}
	err = f()
	late := stateOf(err) == queryCanceled && c.ctx.Err() == nil
	if err != nil && !late {
		return false, err
	}
	_, err = c.exec(`ROLLBACK TO SAVEPOINT briefly`)
	return !late, err
}

func scanServerPlace(scan scanFunc) (place, error) {
	var p place
	err := scan(&p.name, &p.id, &p.server, &p.resource)
	return p, err
}
