package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The settings of a connection, unless the URL has others.
//
// Each query has an index for the rows that it names. With enable_seqscan off it takes that also
// while a table is small or has no statistics yet: a plan is kept as long as its connection, and
// must not read all of a table that has grown since. For the same reason tables are joined by looking
// up each row, never by reading all of both. Queries are too short to be compiled (jit).
var defaultSettings = map[string]string{
	"application_name":                    "umpire",
	"statement_timeout":                   "10s",
	"lock_timeout":                        "5s",
	"idle_in_transaction_session_timeout": "30s",
	"enable_seqscan":                      "off",
	"enable_hashjoin":                     "off",
	"enable_mergejoin":                    "off",
	"jit":                                 "off",
	"plan_cache_mode":                     "force_generic_plan",
}

// The settings of a connection, whatever the URL, the user or the database has.
var fixedSettings = map[string]string{
	"default_transaction_isolation": "read committed", // of statements outside of a transaction: see beginWrite
	"client_min_messages":           "warning",        // see noteUnconfirmed
}

const (
	// maxConnections is how many connections a process has, unless the URL has pool_max_conns.
	maxConnections = 12

	// minConnections are those of all transactions that may write at a time, and one to read with meanwhile.
	// Nobody who has one waits for another.
	minConnections = writers + 2

	// connectTimeout is how long it may take to open one, unless the URL has connect_timeout.
	connectTimeout = 5 * time.Second

	// cancelPatience is how long a canceled statement may take to end before its connection is cut.
	cancelPatience = time.Second
)

// parse reads the URL of a database: https://www.postgresql.org/docs/current/libpq-connect.html,
// with the parameters of pgxpool (pool_max_conns and others). There are at most so many connections, unless the
// URL says. Its error has no password.
func parse(text string, connections int32) (*pgxpool.Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("the database is not named by a URL such as postgres://user@host/name")
	}
	cfg, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("the URL of the database: %w", err) // pgx leaves the password out
	}
	query := u.Query()
	if !query.Has("pool_max_conns") {
		cfg.MaxConns = connections
	}
	if !query.Has("connect_timeout") {
		cfg.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range defaultSettings {
		if _, set := cfg.ConnConfig.RuntimeParams[name]; !set {
			cfg.ConnConfig.RuntimeParams[name] = value
		}
	}
	cfg.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelPatience}
	}
	for name, value := range fixedSettings {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	cfg.ConnConfig.OnNotice = noteUnconfirmed
	cfg.AfterConnect = checkDurable
	return cfg, nil
}

// errUnconfirmed is the error of a commit that a standby has not confirmed.
var errUnconfirmed = errors.New("the wait for a standby was canceled")

// unconfirmedKey is where a connection has that its last commit was not confirmed.
const unconfirmedKey = "umpire: unconfirmed"

// noteUnconfirmed notes that a commit did not wait for the standbys that it was to wait for: its statement was
// canceled, by us or by an administrator. PostgreSQL only warns of that, and answers that the transaction is
// committed. The warning is in the language of the database, and has no SQLSTATE of its own.
func noteUnconfirmed(c *pgconn.PgConn, n *pgconn.Notice) {
	if n.Routine == "SyncRepWaitForLSN" {
		c.CustomData()[unconfirmedKey] = true
	}
}

// unconfirmed returns errUnconfirmed if a commit of the connection was not confirmed since the last call.
func unconfirmed(pg *pgx.Conn) error {
	data := pg.PgConn().CustomData()
	if _, noted := data[unconfirmedKey]; !noted {
		return nil
	}
	delete(data, unconfirmedKey)
	return errUnconfirmed
}

// checkDurable refuses a connection whose commits could be lost in a power failure.
func checkDurable(ctx context.Context, c *pgx.Conn) error {
	var commit string
	err := c.QueryRow(ctx, `SELECT current_setting('synchronous_commit')`, pgx.QueryExecModeExec).Scan(&commit)
	if err != nil {
		return fmt.Errorf("read synchronous_commit: %w", err)
	}
	if commit == "off" {
		return errors.New("synchronous_commit is off for this user and database, so that answers could be lost: " +
			"ALTER ROLE … SET synchronous_commit = on, and connect again")
	}
	return nil
}

// Shown is the URL of a database without its user's password and parameters, for errors and reports.
func Shown(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the database"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	u.RawQuery = ""
	return strings.TrimSuffix(u.String(), "?")
}
