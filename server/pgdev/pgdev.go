// Package pgdev owns a private Postgres that needs no set-up: `verigate dev`
// and the tests run on it. It keeps one cluster in a data directory, listens
// on a unix socket only, runs as an unprivileged account when the gateway is
// root, and leaves no process, lock or half-made cluster behind, however the
// gateway ends.
//
// It must not import anything of the domain or of the store: it hands out a
// DSN and knows nothing of what is kept there. Where the programs come from is
// the business of pgbin; migrations are the business of package db.
//
//	Start: data directory → lock → stop an orphan → find the programs
//	       → make the cluster aside and rename it → run postgres → DSN
//	Stop:  SIGINT (fast) → SIGQUIT (immediate) → SIGKILL, each bounded
package pgdev

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
)

// Names that every cluster made here has.
const (
	databaseName = "verigate"
	roleName     = "verigate"
)

// Errors that a caller tells apart with errors.Is.
var (
	// ErrInUse says that another process holds the data directory.
	ErrInUse = errors.New("already in use by another process")

	// ErrUnsupported says that this operating system cannot run a private
	// Postgres.
	ErrUnsupported = errors.New("a private Postgres needs Linux or macOS; give the URL of a Postgres server instead (--database-url)")
)

// Options say where the database lives and how careful it is.
type Options struct {
	// DataDir is the directory that keeps the cluster between runs, made when
	// missing. Required unless Ephemeral, and ignored then.
	DataDir string

	// Ephemeral puts everything into a temporary directory that Stop removes.
	Ephemeral bool

	// Durable makes every commit survive a crash of the machine (fsync). Off
	// is for tests, whose data nobody needs after a crash.
	Durable bool

	// CreateDatabases lets the role make databases of its own. It takes effect
	// when the cluster is made.
	CreateDatabases bool

	// Settings are further settings of the server, each as name=value. They win
	// over the ones that every server here gets.
	Settings []string

	// Progress is told, in lines for a person, what takes longer than a
	// moment. Nil discards them.
	Progress io.Writer

	// Log receives what an operator may want to know. Nil discards it.
	Log *slog.Logger
}

// withDefaults fills what was left out, or names what must not be.
func (o Options) withDefaults() (Options, error) {
	if o.DataDir == "" && !o.Ephemeral {
		return o, errors.New("pgdev: Options.DataDir is empty; name a directory, or set Ephemeral")
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Server is one running private Postgres.
type Server struct {
	dsn     string
	binDir  string
	done    <-chan struct{}
	stop    func(context.Context) error
	once    sync.Once
	stopErr error
}

// DSN returns the URL of the database, for pgx and for the programs of
// Postgres: the owner role, a unix socket, no password.
func (s *Server) DSN() string { return s.dsn }

// BinDir returns the directory of the Postgres programs in use. Only initdb
// and postgres are certain to be there.
func (s *Server) BinDir() string { return s.binDir }

// Done is closed when the database has ended, by Stop or by itself. After an
// end by itself, Stop still has to be called: it releases the data directory.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the database, waits for it, and releases the data directory. It
// asks politely first and gets rougher after about ten seconds, or as soon as
// ctx is done; it returns only when the process is gone. Calling it again
// returns the first answer. The error says what could not be cleaned up.
func (s *Server) Stop(ctx context.Context) error {
	s.once.Do(func() { s.stopErr = s.stop(ctx) })
	return s.stopErr
}
