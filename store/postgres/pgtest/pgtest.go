// Package pgtest gives tests databases of a PostgreSQL. It starts a cluster of its own in a
// temporary folder, from the programs that it finds, or uses the one at UMPIRE_TEST_POSTGRES: the
// URL of a user who may create databases.
package pgtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/umpire/folder"
)

// howTo is what a test that is skipped says.
const howTo = "no PostgreSQL: install it (on Debian: apt-get install postgresql), or set UMPIRE_TEST_POSTGRES to the URL of one where databases may be created"

// A Server makes databases for the tests of a package. Its zero value is one that starts a cluster
// when the first test needs it. Stop it at the end of TestMain.
type Server struct {
	once    sync.Once
	url     string // of the database postgres; empty: there is no PostgreSQL
	cluster *Cluster
	err     error

	strategy  string     // of copying a template: its files take a fifth of the time of its pages
	mu        sync.Mutex // held while a database is made of a template
	templates map[string]bool
	made      atomic.Int64
}

// Main runs the tests of a package and stops the server: os.Exit(server.Main(m)).
func (s *Server) Main(m *testing.M) int {
	code := m.Run()
	if err := s.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
	}
	return code
}

// Stop removes what was started, and the templates of a cluster that was not.
func (s *Server) Stop() (err error) {
	if s.cluster != nil {
		return s.cluster.Remove()
	}
	for template := range s.templates {
		err = errors.Join(err, s.drop(templateName(template)))
	}
	return err
}

// start finds or starts a cluster.
func (s *Server) start() {
	s.templates = map[string]bool{}
	if s.url = os.Getenv("UMPIRE_TEST_POSTGRES"); s.url != "" {
		return
	}
	temp := cmp.Or(inMemory(), os.TempDir())
	dir, err := os.MkdirTemp(temp, clusterPrefix)
	if err != nil {
		s.err = err
		return
	}
	removeAbandoned(temp, time.Now())
	s.cluster, s.err = NewCluster(dir)
	if s.err != nil || s.cluster == nil {
		s.err = errors.Join(s.err, os.RemoveAll(dir))
		return
	}
	s.err = s.cluster.Start(Careless...)
	s.url = s.cluster.URL("postgres")
}

const clusterPrefix = "umpire-pg-"

// removeAbandoned removes the clusters of tests that were killed: they have stopped, and written nothing
// for an hour.
func removeAbandoned(temp string, now time.Time) {
	logs, _ := filepath.Glob(filepath.Join(temp, clusterPrefix+"*", "log"))
	for _, log := range logs {
		dir := filepath.Dir(log)
		_, running := os.Stat(filepath.Join(dir, "data", "postmaster.pid"))
		if info, err := os.Stat(log); err == nil && errors.Is(running, fs.ErrNotExist) && now.Sub(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(dir) // it may be another user's
		}
	}
}

// inMemory is a folder of files in memory, where a database is made in a tenth of the time; empty
// if there is none with enough room, or TMPDIR names another.
func inMemory() string {
	const shm, room = "/dev/shm", 4 << 30
	if free, err := folder.Free(shm); runtime.GOOS != "linux" || os.Getenv("TMPDIR") != "" || err != nil || free < room {
		return ""
	}
	return shm
}

// Database returns the URL of a new database, which is removed when its test ends. It is a copy
// of one that prepare has filled: prepare is called once for each name of a template. Without a
// PostgreSQL the test is skipped.
func (s *Server) Database(t testing.TB, template string, prepare func(url string) error) string {
	t.Helper()
	s.once.Do(s.start)
	switch {
	case s.err != nil:
		t.Fatalf("start PostgreSQL: %v", s.err)
	case s.url == "":
		t.Skip(howTo)
	}
	name, err := s.create(template, prepare)
	if err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.drop(name); err != nil {
			t.Errorf("remove the database %s: %v", name, err)
		}
	})
	return s.at(name)
}

// create makes a database and returns its name.
func (s *Server) create(template string, prepare func(url string) error) (name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := context.Background()
	from := templateName(template)
	if len(s.templates) == 0 {
		if err := s.chooseStrategy(ctx); err != nil {
			return "", err
		}
	}
	if !s.templates[template] {
		if err := s.admin(ctx, `CREATE DATABASE `+from+` LOCALE 'C.UTF-8' TEMPLATE template0`); err != nil {
			return "", err
		}
		if err := prepare(s.at(from)); err != nil {
			return "", err
		}
		s.templates[template] = true
	}
	name = fmt.Sprintf("umpire_test_%d_%d", os.Getpid(), s.made.Add(1))
	return name, s.admin(ctx, `CREATE DATABASE `+name+` TEMPLATE `+from+s.strategy)
}

func templateName(template string) string {
	return fmt.Sprintf("umpire_template_%d_%s", os.Getpid(), template)
}

// drop removes a database, whoever uses it.
func (s *Server) drop(name string) error {
	return s.admin(context.Background(), `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
}

// chooseStrategy sets strategy, which PostgreSQL has since version 15; earlier ones always copy files.
func (s *Server) chooseStrategy(ctx context.Context) (err error) {
	c, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	var later bool
	if err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int >= 150000`).Scan(&later); err != nil || !later {
		return err
	}
	s.strategy = ` STRATEGY file_copy`
	return nil
}

// admin runs a statement about databases.
func (s *Server) admin(ctx context.Context, statement string) (err error) {
	c, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(ctx)) }()
	_, err = c.Exec(ctx, statement)
	return err
}

// at is the URL of a database of the cluster.
func (s *Server) at(name string) string {
	u, err := url.Parse(s.url)
	if err != nil {
		return s.url // the connection says what is wrong
	}
	u.Path = "/" + name
	return u.String()
}

// Careless are settings by which nothing is flushed to the disk: a power failure would destroy the
// cluster, the end of a process does not.
var Careless = []string{"fsync=off", "full_page_writes=off", "max_connections=800", "shared_buffers=64MB", "autovacuum_naptime=5min",
	"max_wal_size=256MB"}

// A Cluster is a PostgreSQL in a folder.
type Cluster struct {
	dir, bin string
	runAs    *user
	server   *exec.Cmd
	ended    chan struct{} // closed when the postmaster has ended, with exit
	exit     error
}

// NewCluster makes a cluster in a folder, unless there is one; nil if no PostgreSQL is installed.
// Keep the path short: that of a socket has at most some hundred bytes.
func NewCluster(dir string) (c *Cluster, err error) {
	bin := findPrograms()
	if bin == "" {
		return nil, nil
	}
	c = &Cluster{dir: dir, bin: bin}
	if c.runAs, err = notRoot(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.data()); err == nil {
		return c, nil
	}
	if err = c.runAs.own(dir); err == nil {
		err = c.run("initdb", "--pgdata", c.data(), "--username=postgres", "--auth=trust", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8")
	}
	return c, err
}

// findPrograms returns the folder of the programs of PostgreSQL, or "": the latest of Debian's, else
// that of the initdb in the PATH.
func findPrograms() string {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			folders = append([]string{filepath.Dir(initdb)}, folders...)
		}
	}
	for i := len(folders) - 1; i >= 0; i-- {
		if _, err := os.Stat(filepath.Join(folders[i], "initdb")); err == nil {
			return folders[i]
		}
	}
	return ""
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// run runs a program of PostgreSQL to its end.
func (c *Cluster) run(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	c.runAs.run(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// URL is that of a database of the cluster, over a socket in its folder.
func (c *Cluster) URL(database string) string {
	return "postgres://postgres@/" + database + "?host=" + url.QueryEscape(c.dir)
}

// Start starts the cluster with settings such as fsync=on, and waits until it answers.
func (c *Cluster) Start(settings ...string) error {
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), "-D", c.data(), "-k", c.dir, "-c", "listen_addresses=")
	for _, setting := range settings {
		cmd.Args = append(cmd.Args, "-c", setting)
	}
	cmd.Dir = c.dir
	log, err := os.OpenFile(filepath.Join(c.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	cmd.Stdout, cmd.Stderr = log, log
	c.runAs.run(cmd)
	c.ended = make(chan struct{})
	if err := c.startOnThread(cmd); err != nil {
		return err
	}
	return c.wait()
}

// wait waits until the cluster answers.
func (c *Cluster) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.ended:
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			return fmt.Errorf("PostgreSQL ended: %v: %s", c.exit, log)
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Signal sends a signal to the postmaster.
func (c *Cluster) Signal(s os.Signal) error { return c.server.Process.Signal(s) }

// Wait waits until the postmaster has ended.
func (c *Cluster) Wait() { <-c.ended }

// Dir is the folder of the cluster, which has the key of its servers, too.
func (c *Cluster) Dir() string { return c.dir }

// PID is the process id of the postmaster.
func (c *Cluster) PID() int { return c.server.Process.Pid }

// Stop stops the cluster as at the end of a day: it need not recover when it is started again.
func (c *Cluster) Stop() error {
	err := c.Signal(stopFast)
	c.Wait()
	return err
}

// Remove stops the cluster at once and removes its folder.
func (c *Cluster) Remove() error {
	if c.server != nil {
		_ = c.Signal(stopAtOnce) // it may have ended
		c.Wait()
	}
	return os.RemoveAll(c.dir)
}
