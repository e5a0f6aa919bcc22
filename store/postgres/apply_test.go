package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/uma"
)

// photos is a realm file with many resources of alice, more than a batch.
func photos(types string) *uma.RealmChange {
	file := &uma.RealmChange{
		Realm:       uma.Realm{Name: "photoz", Enabled: true},
		Clients:     []*uma.Client{{ID: "api", UUID: "api-uuid", Enabled: true, ResourceServer: true}},
		Users:       []*uma.User{{ID: "alice-id", Username: "alice", Enabled: true}},
		Fingerprint: []byte(types), Now: at,
	}
	for i := range 2 * applyBatch {
		file.Resources = append(file.Resources, uma.ResourceChange{ServerID: "api", OwnerName: "alice",
			Resource: uma.Resource{ID: uma.ResourceID(fmt.Sprint("album-", i)), Name: fmt.Sprint("Album ", i), Type: types}})
	}
	return file
}

func apply(t *testing.T, s *Store, file *uma.RealmChange) *uma.RealmReport {
	t.Helper()
	report, err := s.ApplyRealm(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Servers that start at the same time, with different files, apply one after the other: what is
// there then is one of the files, not a mixture.
func TestServersApplyInTurn(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	first, second := open(t, Config{URL: url}), open(t, Config{URL: url})
	file, ended := photos("of the first"), make(chan error)
	var start sync.Once
	file.Progress = func(done, total int) {
		start.Do(func() {
			go func() {
				defer close(ended)
				_, err := second.ApplyRealm(t.Context(), photos("of the second"))
				ended <- err
			}()
		})
		for len(rowsOf(t, first, `SELECT 'waits' FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)) == 0 {
			select {
			case err := <-ended:
				t.Fatalf("the second did not wait, and got error %v", err)
			default:
			}
		}
	}
	apply(t, first, file)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	got := rowsOf(t, first, `SELECT type || ' ' || count(*) FROM resource GROUP BY type UNION SELECT convert_from(fingerprint, 'UTF8') FROM realm`)
	if want := []string{"of the second", fmt.Sprint("of the second ", 2*applyBatch)}; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Who has lost the turn, to the end of a connection, writes no more.
func TestLostTurn(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	file, batches := photos("album"), 0
	file.Progress = func(done, total int) {
		batches++
		rowsOf(t, s, `SELECT pg_terminate_backend(pid)::text FROM pg_locks WHERE locktype = 'advisory' AND database =
			(SELECT oid FROM pg_database WHERE datname = current_database())`)
	}
	if _, err := s.ApplyRealm(t.Context(), file); !errors.Is(err, uma.ErrBusy) {
		t.Errorf("got error %v, want %v", err, uma.ErrBusy)
	}
	if batches != 1 {
		t.Errorf("got %d batches, want 1", batches)
	}
	file.Progress = nil
	if got := len(apply(t, s, file).Created); got == 0 || got > 2*applyBatch {
		t.Errorf("the next apply created %d rows, want the rest", got)
	}
}

// A resource that somebody else creates after a batch has looked for it is adopted, and the report
// of the batch, which runs again, has nothing twice.
func TestBatchFindsWhatOthersHaveMade(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	smallRealm(t, s)
	other, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.Background()) }()
	_, err = other.Exec(t.Context(), `INSERT INTO resource (id, server, owner, own, name, name_folded, display_name, type, type_folded, icon_uri, uris,
			scopes, owner_managed, attributes, origin, texts, drifted, version)
		SELECT 'theirs', key, 'alice-id', false, 'Album 7', 'album 7', '', '', '', '', '{}', '{}', false, '{}', 'api', '', false, nextval('version')
		FROM client`)
	if err != nil {
		t.Fatal(err)
	}
	file := photos("album")
	for i := range file.Resources {
		file.Resources[i].GeneratedID = true
	}
	file.Users = append(file.Users, &uma.User{ID: "bob-id", Username: "bob"})
	reports := make(chan *uma.RealmReport, 1)
	go func() {
		report, err := s.ApplyRealm(t.Context(), file)
		if err != nil {
			t.Error(err)
		}
		reports <- report
	}()
	awaitWaiting(t, s, reports)
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	report := <-reports
	if !slices.Equal(report.Adopted, []string{"resource Album 7"}) {
		t.Errorf("got %q adopted", report.Adopted)
	}
	if got := len(report.Created); got != 2*applyBatch {
		t.Errorf("got %d created, want %d resources but one, and a user", got, 2*applyBatch)
	}
	if got := rowsOf(t, s, `SELECT id || ' ' || type FROM resource WHERE name = 'Album 7'`); !slices.Equal(got, []string{"theirs album"}) {
		t.Errorf("got %q", got)
	}
}

// A slowPage is a database that takes longer to read a page of users than one request may take. It is given no
// more time than the caller of the read has.
type slowPage struct {
	recorder
	takes time.Duration
}

func (p *slowPage) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		if strings.Contains(q.SQL, "FROM users WHERE realm = $1 AND id > $2") {
			select {
			case <-time.After(p.takes):
			case <-ctx.Done():
			}
		}
	}
	return ctx
}

// A large realm is compared with its file for as long as it takes, and the caller waits.
func TestApplyReadsWithoutPatience(t *testing.T) {
	t.Parallel()
	const patience = 3 * time.Second
	s := openTemp(t, func(c *Config) { c.patience, c.tracer = patience, &slowPage{takes: patience} })
	smallRealm(t, s)
	if created := apply(t, s, photos("album")).Created; len(created) != 2*applyBatch {
		t.Errorf("got %d created, want %d", len(created), 2*applyBatch)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.ApplyRealm(ctx, photos("book")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller with less time: got error %v", err)
	}
}

// A dry run waits for nobody who shares a row that it does not change.
func TestDryRunSharesRows(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	file := photos("album")
	apply(t, s, file)
	other, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback(context.Background()) }()
	for _, table := range []string{"realm", "client", "users", "resource"} {
		if _, err := other.Exec(t.Context(), `SELECT 1 FROM `+table+` FOR SHARE`); err != nil {
			t.Fatal(err)
		}
	}
	file.DryRun = true
	file.Users = append(file.Users, &uma.User{ID: "bob-id", Username: "bob"})
	file.Scopes = map[string][]uma.ScopeRow{"api": {{ID: "scope-id", Name: "view"}}}
	report := apply(t, s, file)
	if want := []string{"user bob", "scope view of api"}; !slices.Equal(report.Created, want) {
		t.Errorf("got %q created, want %q", report.Created, want)
	}
}

// The rows of a batch are looked up by their whole keys, whatever is known of the tables.
func TestApplyPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t, nil)
	apply(t, s, photos("album"))
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			if _, err := s.pool.Exec(t.Context(), `ANALYZE`); err != nil {
				t.Fatal(err)
			}
		}
		for query, index := range map[string]string{resourcesByIDs: "resource_id", resourcesByNames: "resource_owner_name"} {
			args := []any{[]int64{1}, []string{"alice-id"}, []string{"Album 1"}}[:strings.Count(query, "$")]
			plan := strings.Join(rowsOf(t, s, `EXPLAIN SELECT`+resourceColumns+`FROM `+query, args...), "\n")
			if !strings.Contains(plan, "using "+index+" ") {
				t.Errorf("analyzed %t: the plan does not use %s:\n%s", analyzed, index, plan)
			}
		}
	}
}
