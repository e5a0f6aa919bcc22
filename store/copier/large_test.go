package copier_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"example.com/umpire/store/copier"
)

// A generated is a source with so many resources, each with scopes, a URI and a request, and with
// decision records.
type generated struct {
	resources int
	next      int        // row of the table that is read
	last      copier.Row // the key of the row before
}

func (g *generated) Snapshot(context.Context) error { return nil }
func (g *generated) Close() error                   { return nil }

func (g *generated) Count(_ context.Context, t *copier.Table) (int64, error) {
	n, _ := g.rows(t.Name)
	return int64(n), nil
}

func (g *generated) Page(_ context.Context, t *copier.Table, after copier.Row, limit int) (page []copier.Row, err error) {
	n, row := g.rows(t.Name)
	if after == nil {
		g.next = 0
	} else if !reflect.DeepEqual(after, g.last) { // a copy goes on
		for g.next = 1; !reflect.DeepEqual(row(g.next - 1)[:t.Key], after); g.next++ {
		}
	}
	for ; g.next < n && len(page) < limit; g.next++ {
		page = append(page, row(g.next))
		g.last = page[len(page)-1][:t.Key]
	}
	return page, nil
}

// rows returns how many rows a table has, and what makes each.
func (g *generated) rows(table string) (n int, row func(i int) copier.Row) {
	const server = int64(1)
	id := func(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i*40503, i) }
	name := func(i int) string { return fmt.Sprintf("Album %07d", i) }
	scopes := []string{"comment", "view"}
	switch table {
	case "realm":
		return 1, func(int) copier.Row { return copier.Row{int64(1), "photoz", "{}", int64(1), false, []byte("f"), ""} }
	case "client":
		return 1, func(int) copier.Row {
			return copier.Row{int64(1), int64(1), "api", "api-uuid", []byte("secret"), true, `{"resource_server":true}`, "file"}
		}
	case "resource":
		return g.resources, func(i int) copier.Row {
			return copier.Row{int64(i + 1), id(i), server, "alice", false, name(i), "album " + name(i)[6:], "", "album", "album", "",
				[]string{fmt.Sprint("/albums/", i)}, scopes, true, `{"visibility":["private"]}`, "api", "", false, int64(i + 1)}
		}
	case "resource_scope":
		return 2 * g.resources, func(i int) copier.Row {
			of := i % g.resources
			return copier.Row{server, scopes[i/g.resources], name(of), id(of), int64(of + 1), int64(1)}
		}
	case "resource_uri":
		return g.resources, func(i int) copier.Row {
			return copier.Row{server, fmt.Sprintf("/albums/%07d", i), name(i), id(i), int64(i + 1), int64(1)}
		}
	case "request":
		return g.resources, func(i int) copier.Row {
			return copier.Row{int64(i + 1), id(i), server, int64(i + 1), id(i), name(i), "alice", "bob", "view", "view-id", "granted",
				at.UnixMilli(), at.UnixMilli(), int64(i + 1)}
		}
	case copier.Decision:
		return g.resources / 2, func(i int) copier.Row {
			return copier.Row{int64(i + 1), at.Add(time.Duration(i) * time.Minute).UnixMilli(), id(i), id(i / 2), "photoz", "rpt", "granted", "",
				"bob", "web", "api", id(i), "sha256:abc", id(i / 2), []string{"photoz.shared"}, fmt.Appendf(nil, `{"decision_id":%q,"input":{"claims":%0100d}}`, id(i), i/2)}
		}
	case copier.Number:
		return len(copier.Numbers()), func(i int) copier.Row { return copier.Row{copier.Numbers()[i], int64(g.resources)} }
	}
	return 0, nil
}

// TestCopyLarge: 100,000 resources with 550,000 rows in all are copied to PostgreSQL and on to SQLite, each
// time interrupted twice, and found equal at the end.
func TestCopyLarge(t *testing.T) {
	t.Parallel()
	all := &generated{resources: 100_000}
	if testing.Short() || raceEnabled {
		all.resources = 3_000
	}
	middle, last := place{url: newDatabase(t)}, place{path: newPath(t)}
	for _, way := range []struct {
		from func() copier.Source
		to   place
	}{{func() copier.Source { return all }, middle}, {func() copier.Source { return middle.openSource(t) }, last}} {
		began := time.Now()
		for _, table := range []string{"resource", copier.Decision, ""} {
			ctx, cancel := context.WithCancel(t.Context())
			from, to := way.from(), way.to.openTarget(t)
			report, err := copier.Copy(ctx, from, to, func(s copier.Step) {
				if s.Verb == "copied" && s.Table == table && s.Rows > s.Of/2 {
					cancel()
				}
			})
			cancel()
			mustClose(t, from)
			mustClose(t, to)
			switch {
			case table != "" && !errors.Is(err, context.Canceled):
				t.Fatalf("got error %v, want %v", err, context.Canceled)
			case table == "" && err != nil:
				t.Fatal(err)
			case table == "":
				t.Logf("%d rows in %v", report.Rows(), time.Since(began))
			}
		}
	}
}
