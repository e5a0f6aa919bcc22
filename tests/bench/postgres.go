package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/store/postgres/pgtest"
)

// durable are settings by which a commit has reached the disk when it is answered, as in production.
var durable = []string{"fsync=on", "synchronous_commit=on", "max_connections=200", "shared_buffers=1GB", "max_wal_size=4GB", "effective_cache_size=8GB"}

// balanced is the public URL of the servers of one PostgreSQL, as of a load balancer before them.
const balanced = "https://umpire.example"

// measurePostgres measures the same requests on SQLite, and on a PostgreSQL of this machine: by one
// server and by two. The processor time is that of the servers and of PostgreSQL.
func measurePostgres(ctx context.Context, s setting, dir string) error {
	for _, z := range s.sizes {
		if err := measureStores(ctx, s, filepath.Join(dir, fmt.Sprint(z.resources)), z); err != nil {
			return fmt.Errorf("%s: %w", z, err)
		}
	}
	return nil
}

// measurePostgresSizes measures requests on PostgreSQL with databases of each size beside the first.
func measurePostgresSizes(ctx context.Context, s setting, dir string) (err error) {
	var servers fleet
	var databases []*process
	for i, z := range s.sizes {
		d, err := s.startDatabase(ctx, z)
		if err != nil || d == nil {
			return err
		}
		defer func() { err = errors.Join(err, d.stop()) }()
		databases = append(databases, d.process)
		servers = append(servers, d.umpire(s.umpire, count(int64(z.resources))+" resources", filepath.Join(dir, fmt.Sprint(i))))
	}
	for _, c := range s.caches {
		if err := servers.measureSizes(ctx, s, c, databases); err != nil {
			return fmt.Errorf("caches %s: %w", c.name, err)
		}
	}
	return nil
}

func (f fleet) measureSizes(ctx context.Context, s setting, c caching, databases []*process) (err error) {
	if err := f.start(ctx, realmFile{alg: "ES256"}, c.flag); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	for _, callers := range s.callers {
		for _, what := range storeScripts {
			if err := f.signIn(); err != nil {
				return err
			}
			var all []contender
			for i, u := range f {
				one := u.contender(u.name, what.script(u))
				one.processes = append(one.processes, databases[i])
				all = append(all, one)
			}
			heading := fmt.Sprintf("%s, PostgreSQL, %d callers, caches: %s", what.name, callers, c.name)
			if err := report(ctx, s, heading, callers, all); err != nil {
				return err
			}
		}
	}
	return nil
}

// A database is a running PostgreSQL with a database of a size.
type database struct {
	*process // PostgreSQL, with all of its processes
	cluster  *pgtest.Cluster
	folder   string
	url      string
	size     size
}

// startDatabase starts a PostgreSQL with a database of a size. It returns nil, and says so, if none is installed.
func (s setting) startDatabase(ctx context.Context, z size) (d *database, err error) {
	d = &database{process: &process{cmd: &exec.Cmd{}, tree: true}, size: z}
	if d.folder, err = s.clusterDir(z); err != nil {
		return nil, err
	}
	if d.cluster, d.url, err = s.cluster(ctx, d.folder, z); err != nil {
		return nil, err
	}
	if d.cluster == nil {
		fmt.Println("postgres: not measured, because no PostgreSQL is installed")
		return nil, nil
	}
	d.cmd.Process, err = os.FindProcess(d.cluster.PID())
	return d, err
}

// stop ends PostgreSQL. A database that is not kept is removed.
func (d *database) stop() error {
	err := d.cluster.Stop()
	if d.size.resources+d.size.shares < keptSize {
		err = errors.Join(err, os.RemoveAll(d.folder))
	}
	return err
}

// umpire is a server of the database.
func (d *database) umpire(binary, name, dir string) *umpire {
	return &umpire{binary: binary, size: d.size, name: name, dir: dir, data: d.cluster.Dir(), url: d.url, public: balanced}
}

// storeScripts are what is asked to compare stores.
var storeScripts = []struct {
	name   string
	script func(*umpire) script
}{{"Decisions", (*umpire).decision}, {"Decisions about shared albums", (*umpire).sharedDecision}, {"Ticket to RPT", (*umpire).roundTrip}}

func measureStores(ctx context.Context, s setting, dir string, z size) (err error) {
	data, err := s.database(ctx, filepath.Join(dir, "sqlite"), z)
	if err != nil {
		return err
	}
	d, err := s.startDatabase(ctx, z)
	if err != nil || d == nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	sqlite := &umpire{binary: s.umpire, size: z, name: "SQLite", dir: filepath.Join(dir, "a"), data: data}
	one, two := d.umpire(s.umpire, "PostgreSQL", filepath.Join(dir, "b")), d.umpire(s.umpire, "another", filepath.Join(dir, "c"))
	servers := fleet{sqlite, one, two}
	for _, c := range s.caches {
		if err := servers.measureStores(ctx, s, c, d.process); err != nil {
			return fmt.Errorf("caches %s: %w", c.name, err)
		}
	}
	return nil
}

// measureStores measures servers of SQLite, of PostgreSQL, and of the same PostgreSQL.
func (f fleet) measureStores(ctx context.Context, s setting, c caching, database *process) (err error) {
	if err := f.start(ctx, realmFile{alg: "ES256"}, c.flag); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	sqlite, one, two := f[0], f[1], f[2]
	both := func(of func(*umpire) script) []contender {
		first := one.contender("PostgreSQL, one server", of(one))
		first.processes = append(first.processes, database)
		second := first
		second.name, second.addrs, second.processes, second.admins =
			"PostgreSQL, two servers", []string{one.addr, two.addr}, append(first.processes, two.process), []string{one.admin, two.admin}
		return []contender{sqlite.contender("SQLite", of(sqlite)), first, second}
	}
	for _, callers := range s.callers {
		for _, what := range storeScripts {
			if err := f.signIn(); err != nil {
				return err
			}
			heading := fmt.Sprintf("%s, %s resources, %d callers, caches: %s", what.name, count(int64(sqlite.size.resources)), callers, c.name)
			if err := report(ctx, s, heading, callers, both(what.script)); err != nil {
				return err
			}
		}
	}
	return nil
}

// clusterDir returns the folder for a PostgreSQL with a database of a size. A large one is kept, as that of
// SQLite is. Where PostgreSQL is run as another user, -data must be a folder that this user may enter.
func (s setting) clusterDir(z size) (dir string, err error) {
	if z.resources+z.shares < keptSize {
		return os.MkdirTemp("", "umpire-pg-")
	}
	dir = filepath.Join(s.data, fmt.Sprintf("postgres-%d-%d", z.resources, z.shares))
	return dir, os.MkdirAll(dir, 0o755)
}

// cluster returns a running PostgreSQL with a database of a size, and its URL.
func (s setting) cluster(ctx context.Context, dir string, z size) (c *pgtest.Cluster, url string, err error) {
	if c, err = pgtest.NewCluster(dir); err != nil || c == nil {
		return nil, "", err
	}
	if err := c.Start(durable...); err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	url = c.URL("umpire")
	made := filepath.Join(dir, "made") // is there when the database is complete
	if _, err := os.Stat(made); err == nil {
		return c, url, nil
	}
	for _, statement := range []string{`DROP DATABASE IF EXISTS umpire`, `CREATE DATABASE umpire`} {
		if err := administer(ctx, c.URL("postgres"), statement); err != nil {
			return nil, "", err
		}
	}
	began := time.Now()
	if err := z.make(ctx, dir, url); err != nil {
		return nil, "", err
	}
	if err := administer(ctx, url, `VACUUM ANALYZE`); err != nil {
		return nil, "", err
	}
	fmt.Fprintf(os.Stderr, "made a PostgreSQL with %s in %s\n", z, time.Since(began).Round(time.Second))
	return c, url, os.WriteFile(made, nil, 0o600)
}

func administer(ctx context.Context, url, statement string) (err error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	_, err = c.Exec(ctx, statement)
	return err
}
