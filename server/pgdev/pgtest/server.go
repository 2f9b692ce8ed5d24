package pgtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/verigate/verigate/db"
	"github.com/verigate/verigate/server/pgdev"
)

// adminConnections is how many databases are made or dropped at a time.
const adminConnections = 4

// shared is the one server of this test process: tests of a package have no
// other place to share something that expensive.
var shared lazy

// lazy starts the server when the first test asks for it. It is usable only
// between open and close, so that no test can start a server nobody stops.
type lazy struct {
	mu     sync.Mutex
	isOpen bool
	server *server
	err    error
}

func (l *lazy) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isOpen = true
}

// get returns the server. A server that did not start is not tried again: all
// tests fail with the same reason.
func (l *lazy) get() (*server, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isOpen {
		return nil, errors.New("this package has no TestMain that stops the server; add: func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	if l.server == nil && l.err == nil {
		l.server, l.err = startServer(context.Background())
	}
	return l.server, l.err
}

func (l *lazy) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isOpen = false
	if l.server == nil {
		return nil
	}
	return l.server.close(ctx)
}

// server is a running Postgres with a migrated template.
type server struct {
	dsn      string
	binDir   string
	template string
	admin    *sql.DB
	// private is nil when TEST_DATABASE_URL names the server.
	private *pgdev.Server
}

func startServer(ctx context.Context) (*server, error) {
	s := &server{dsn: os.Getenv(Variable)}
	if s.dsn == "" {
		private, err := pgdev.Start(ctx, pgdev.Options{Ephemeral: true, CreateDatabases: true})
		if err != nil {
			return nil, fmt.Errorf("the tests need a Postgres (set %s to use a running one): %w", Variable, err)
		}
		s.private, s.dsn, s.binDir = private, private.DSN(), private.BinDir()
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *server) prepare(ctx context.Context) error {
	config, err := pgx.ParseConfig(s.dsn)
	if err != nil {
		return fmt.Errorf("%s: %w", Variable, db.ErrURL)
	}
	s.admin = stdlib.OpenDB(*config)
	s.admin.SetMaxOpenConns(adminConnections)
	s.template, err = buildTemplate(ctx, s)
	return err
}

func (s *server) close(ctx context.Context) error {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.private != nil {
		errs = append(errs, s.private.Stop(ctx))
	}
	return errors.Join(errs...)
}

func (s *server) create(ctx context.Context, name, template string) error {
	return s.exec(ctx, "creating a database", "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template))
}

func (s *server) drop(ctx context.Context, name string) error {
	drop := "DROP DATABASE IF EXISTS " + quote(name)
	err := s.exec(ctx, "dropping a database", drop+" WITH (FORCE)")
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == insufficientPrivilege {
		// Autovacuum is in it, which only a superuser may end; without FORCE
		// Postgres sends it away itself.
		return s.exec(ctx, "dropping a database", drop)
	}
	return err
}

// insufficientPrivilege is an error code of Postgres (manual, appendix A).
const insufficientPrivilege = "42501"

func (s *server) exec(ctx context.Context, doing, statement string) error {
	if _, err := s.admin.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// withDatabase returns dsn with another database. Only the URL form can be
// changed safely.
func withDatabase(dsn, name string) (string, error) {
	address, err := url.Parse(dsn)
	if err != nil || (address.Scheme != "postgres" && address.Scheme != "postgresql") {
		return "", fmt.Errorf("%s: %w", Variable, db.ErrURL)
	}
	address.Path = "/" + name
	query := address.Query()
	if query.Has("dbname") {
		query.Del("dbname")
		address.RawQuery = query.Encode()
	}
	return address.String(), nil
}
