package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/umpire/store/rows"
	"example.com/umpire/uma"
)

// leftovers are the rows that came from a realm file and that the change does not name
// and, with Prune, all resources that are deleted with them.
type leftovers struct {
	clients, users, resources, scopes []leftover
}

// A leftover is a row that is deleted, unless other rows depend on it.
type leftover struct {
	what    string // "client photoz-api"
	key     uma.Key
	server  uma.Key   // of a resource or a scope
	id      string    // client_id, subject id, resource id, name of the scope
	holders []uma.Key // with Prune: resources that have the scope, shares that name the user
}

// findLeftovers compares the rows of the realm with what the change names.
func (a *applier) findLeftovers(c *conn) error {
	r, _, err := realmRow(c, a.Realm.Name)
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a.realm = r.Key
	if err := a.findDistrusted(c, r.Issuers); err != nil {
		return err
	}
	clients, err := clientRows(c, r.Key)
	if err != nil {
		return err
	}
	servers := make(map[uma.Key]*uma.Client, len(clients))
	for _, client := range clients {
		servers[client.Key] = client
		if a.isLeftover(client) {
			a.gone.clients = append(a.gone.clients, leftover{what: "client " + client.ID, key: client.Key, id: client.ID})
		}
	}
	owners, err := a.findLeftoverUsers(c)
	if err != nil {
		return reading("users", err)
	}
	if err := a.findLeftoverScopes(c, servers); err != nil {
		return reading("scopes", err)
	}
	for _, client := range clients {
		if err := a.findLeftoverResources(c, client, owners); err != nil {
			return reading("resources", err)
		}
	}
	for _, gone := range [][]leftover{a.gone.clients, a.gone.users, a.gone.scopes, a.gone.resources} {
		slices.SortFunc(gone, func(l, m leftover) int {
			return cmp.Or(cmp.Compare(l.server, m.server), cmp.Compare(l.key, m.key), cmp.Compare(l.id, m.id))
		})
	}
	if a.Prune {
		return a.findHolders(c)
	}
	if a.Lenient {
		return nil
	}
	return a.countDependents(c)
}

func (a *applier) isLeftover(client *uma.Client) bool {
	return client.Origin == uma.FromFile && !a.named.Client(client.ID)
}

// An owner is a user who may own resources.
type owner struct {
	folded string // username
	remove bool
}

// leftoverPage is how many rows of a realm one statement reads, so that each takes a short time.
const leftoverPage = 10_000

// byPage calls page with the last id that it has returned, until it returns less than a page of rows.
func byPage(page func(after string) (last string, rows int, err error)) error {
	for after := ""; ; {
		last, rows, err := page(after)
		if err != nil || rows < leftoverPage {
			return err
		}
		after = last
	}
}

// findLeftoverUsers finds the users to delete, and returns all users by subject id.
func (a *applier) findLeftoverUsers(c *conn) (map[string]owner, error) {
	owners := map[string]owner{}
	err := byPage(func(after string) (last string, rows int, err error) {
		err = c.rows(`SELECT key, id, username, folded, origin FROM users WHERE realm = $1 AND id > $2 ORDER BY id LIMIT $3`,
			[]any{a.realm, after, leftoverPage}, func(scan scanFunc) error {
				var l leftover
				var username, folded, origin string
				if err := scan(&l.key, &l.id, &username, &folded, &origin); err != nil {
					return err
				}
				last, rows = l.id, rows+1
				remove := origin == string(uma.FromFile) && !a.named.User(folded)
				owners[l.id] = owner{folded, remove}
				if remove {
					l.what = "user " + username
					a.gone.users = append(a.gone.users, l)
				}
				return nil
			})
		return last, rows, err
	})
	return owners, err
}

// findLeftoverScopes finds the scopes of resource servers to delete.
func (a *applier) findLeftoverScopes(c *conn, servers map[uma.Key]*uma.Client) error {
	return c.rows(`SELECT s.server, s.name FROM client c JOIN scope s ON s.server = c.key WHERE c.realm = $1 AND s.origin = $2`,
		[]any{a.realm, uma.FromFile}, func(scan scanFunc) error {
			var l leftover
			if err := scan(&l.server, &l.id); err != nil {
				return err
			}
			if server := servers[l.server]; server != nil && !a.named.Scope(server.ID, l.id) {
				l.what = "scope " + l.id + " of " + server.ID
				a.gone.scopes = append(a.gone.scopes, l)
			}
			return nil
		})
}

// findLeftoverResources finds the resources to delete, and those that were changed over an API.
func (a *applier) findLeftoverResources(c *conn, server *uma.Client, owners map[string]owner) error {
	return byPage(func(after string) (last string, rows int, err error) {
		err = c.rows(`SELECT key, id, owner, name, origin, drifted FROM resource WHERE server = $1 AND id > $2 ORDER BY id LIMIT $3`,
			[]any{server.Key, after, leftoverPage}, func(scan scanFunc) error {
				l := leftover{server: server.Key}
				var ownerID, name, origin string
				var drifted bool
				if err := scan(&l.key, &l.id, &ownerID, &name, &origin, &drifted); err != nil {
					return err
				}
				last, rows = l.id, rows+1
				if drifted {
					a.drifted[l.key] = true
				}
				user, isUser := owners[ownerID]
				named := a.named.ResourceID(server.ID, uma.ResourceID(l.id)) ||
					(isUser || ownerID == server.UUID) && a.named.ResourceName(server.ID, user.folded, name)
				follows := a.Prune && (a.isLeftover(server) || user.remove)
				if !named && (follows || origin == string(uma.FromFile)) {
					l.what = "resource " + name
					a.gone.resources = append(a.gone.resources, l)
				}
				return nil
			})
		return last, rows, err
	})
}

// leftoverBatch is how many leftovers a query is about.
const leftoverBatch = 100

// ofLeftovers are leftovers as the rows x of a query, each with its number, and the realm and the time
// of the change: see leftoverArgs.
const ofLeftovers = ` FROM (SELECT l.*, $4::bigint AS realm, $5::bigint AS now
	FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY l (key, server, id, nth)) x`

func (a *applier) leftoverArgs(some []leftover) []any {
	var cols columns
	for _, l := range some {
		cols.add(int64(l.key), int64(l.server), l.id)
	}
	return append(cols.args(), a.realm, rows.Millis(a.Now))
}

// The rows that depend on x. Each is looked up by its index: OFFSET 0 keeps it where it is written.
const (
	scopeHolders = `SELECT h.resource AS key FROM resource_scope h WHERE h.server = x.server AND h.scope = x.id OFFSET 0`
	userHolders  = `SELECT s.key FROM share_party p JOIN share s ON s.key = p.share JOIN client c ON c.key = s.server
		WHERE p.party = '` + rows.UserPrefix + `' || x.id AND p.party LIKE '` + rows.UserPrefix + `%' AND c.realm = x.realm OFFSET 0`
)

// findHolders finds the rows that lose a scope or a user.
func (a *applier) findHolders(c *conn) error {
	for _, kind := range []struct {
		gone    []leftover
		holders string
	}{{a.gone.scopes, scopeHolders}, {a.gone.users, userHolders}} {
		for some := range slices.Chunk(kind.gone, leftoverBatch) {
			err := c.rows(`SELECT x.nth, h.key`+ofLeftovers+` CROSS JOIN LATERAL (`+kind.holders+`) h`, a.leftoverArgs(some),
				func(scan scanFunc) error {
					var nth int
					var key uma.Key
					err := scan(&nth, &key)
					if err == nil {
						some[nth-1].holders = append(some[nth-1].holders, key)
					}
					return err
				})
			if err != nil {
				return reading("rows that lose a scope or a user", err)
			}
		}
	}
	return nil
}

// sharesNaming returns policies that have a user in their lists: some of those after a key, in the order of keys. A
// policy is always found by its users: see rows.IndexedParties.
func sharesNaming(c *conn, realm uma.Key, user string, after uma.Key) ([]uma.Key, error) {
	return list(c, `SELECT s.key FROM share_party p JOIN share s ON s.key = p.share JOIN client c ON c.key = s.server
		WHERE p.party = '`+rows.UserPrefix+`' || $2 AND p.party LIKE '`+rows.UserPrefix+`%' AND c.realm = $1 AND p.share > $3
		ORDER BY p.share LIMIT $4`, []any{realm, user, after, partyBatch}, scanKey)
}

// dependents are a query for rows of a kind that depend on a leftover x.
type dependents struct {
	kind  string // as in uma.RealmReport
	query string
}

func clientDependents() []dependents {
	return []dependents{
		{"requests", `SELECT 1 FROM live_request q WHERE q.server = x.key` + byState},
		{"policies", `SELECT 1 FROM share s WHERE s.server = x.key`},
		{"sessions", `SELECT 1 FROM session s WHERE s.realm = x.realm AND s.client = x.id AND NOT s.ended AND s.expires > x.now`},
		{"resources", `SELECT 1 FROM resource r WHERE r.server = x.key AND r.origin <> 'file'`},
	}
}

func userDependents() []dependents {
	return []dependents{
		{"sessions", `SELECT 1 FROM session s WHERE s.realm = x.realm AND s.user_id = x.id AND NOT s.ended AND s.expires > x.now`},
		{"requests", `SELECT 1 FROM client c JOIN live_request q ON q.server = c.key AND q.requester = x.id` + byRequester + ` WHERE c.realm = x.realm`},
		{"requests", `SELECT 1 FROM client c JOIN live_request q ON q.server = c.key AND q.owner = x.id` + byOwner + ` WHERE c.realm = x.realm`},
		{"policies", `SELECT 1 FROM client c JOIN share s ON s.server = c.key AND s.owner = x.id` + byShareName + ` WHERE c.realm = x.realm`},
		{"policies", userHolders},
		{"resources", `SELECT 1 FROM client c JOIN resource r ON r.server = c.key AND r.owner = x.id
			WHERE c.realm = x.realm AND r.origin <> 'file'`},
	}
}

func resourceDependents() []dependents {
	return []dependents{
		{"requests", `SELECT 1 FROM live_request q WHERE q.resource = x.key`},
		{"policies", `SELECT 1 FROM share s WHERE s.resource = x.key`},
	}
}

// scopeDependents are requests, policies and resources of an API. Resources of the file do
// not count: other steps remove the scope from them.
func scopeDependents() []dependents {
	return []dependents{
		{"requests", `SELECT 1 FROM live_request q WHERE q.server = x.server AND q.scope = x.id` + byScope},
		{"resources", `SELECT 1 FROM resource_scope h JOIN resource r ON r.key = h.resource
			WHERE h.server = x.server AND h.scope = x.id AND r.origin <> 'file'`},
		{"policies", `SELECT 1 FROM resource_scope h JOIN share s ON s.resource = h.resource
			WHERE h.server = x.server AND h.scope = x.id AND x.id = ANY(s.scopes)`},
	}
}

// inUse reports of each leftover whether other rows depend on it.
func (a *applier) inUse(tx *conn, some []leftover, all []dependents) ([]bool, error) {
	there := make([]string, len(all))
	for i, d := range all {
		there[i] = `EXISTS (` + d.query + `)`
	}
	return list(tx, `SELECT `+strings.Join(there, ` OR `)+ofLeftovers+` ORDER BY x.nth`, a.leftoverArgs(some),
		func(scan scanFunc) (used bool, err error) {
			err = scan(&used)
			return used, err
		})
}

// countLimit bounds the rows that a refusal counts, to uma.MaxDependents.
var countLimit = fmt.Sprint(` LIMIT `, uma.MaxDependents)

// countDependents reports the leftovers on which other rows depend, with the number of
// those rows.
func (a *applier) countDependents(c *conn) error {
	for _, kind := range []struct {
		gone []leftover
		all  []dependents
	}{
		{a.gone.clients, clientDependents()}, {a.gone.users, userDependents()},
		{a.gone.resources, resourceDependents()}, {a.gone.scopes, scopeDependents()},
	} {
		for some := range slices.Chunk(kind.gone, leftoverBatch) {
			if err := a.countSome(c, some, kind.all); err != nil {
				return reading("dependent rows", err)
			}
		}
	}
	return nil
}

func (a *applier) countSome(c *conn, some []leftover, all []dependents) error {
	counted, counts, dest := make([]string, len(all)), make([]int, len(all)), make([]any, len(all))
	for i, d := range all {
		counted[i], dest[i] = `(SELECT count(*) FROM (`+d.query+countLimit+`) d)`, &counts[i]
	}
	nth := 0
	return c.rows(`SELECT `+strings.Join(counted, `, `)+ofLeftovers+` ORDER BY x.nth`, a.leftoverArgs(some), func(scan scanFunc) error {
		if err := scan(dest...); err != nil {
			return err
		}
		of := map[string]int{}
		for i, n := range counts {
			if n > 0 {
				of[all[i].kind] += n
			}
		}
		if len(of) > 0 {
			a.Kept(some[nth].what)
			a.Report.Dependents = append(a.Report.Dependents, of)
		}
		nth++
		return nil
	})
}
