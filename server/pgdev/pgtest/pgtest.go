// Package pgtest gives each test a migrated Postgres database of its own, in
// about a tenth of a second. It owns one private server per test process,
// started by the first test that asks and ended with the process; with
// TEST_DATABASE_URL set it uses that server instead, whose role must be able
// to create databases.
//
// It must not be imported by anything but tests. A Postgres that is missing
// fails the test and says what to install; nothing is ever skipped.
//
//	TestMain: pgtest.Main(m), or goleak.VerifyTestMain(pgtest.Wrap(m))
//	New:      template, migrated once → CREATE DATABASE … TEMPLATE → DSN
//	Cleanup:  DROP DATABASE … WITH (FORCE)
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"testing"
	"time"
)

const (
	// Variable names the environment variable with the URL of a server to use
	// instead of a private one.
	Variable = "TEST_DATABASE_URL"

	databasePrefix = "verigate_test_"
	randomBytes    = 8
	// How long one statement of this package may take: a slow machine under
	// load, never a hung test.
	statementBound = time.Minute
)

// runner is what *testing.M is to this package.
type runner interface{ Run() int }

// Runner runs the tests of a package and then ends the server they used.
type Runner struct{ tests runner }

// Wrap returns a Runner for m, to be given to something that runs it, such as
// a goroutine-leak check.
func Wrap(m runner) *Runner { return &Runner{tests: m} }

// Run runs the tests, then stops and removes the private server. It returns
// the exit code of the tests, or 1 when they passed and the server could not
// be cleaned up.
func (r *Runner) Run() int {
	shared.open()
	code := r.tests.Run()
	if err := shared.close(context.Background()); err != nil {
		log.Printf("pgtest: cleaning up: %v", err)
		code = max(code, 1)
	}
	return code
}

// Main is the whole TestMain of a package that uses New. It ends the process.
func Main(m *testing.M) { os.Exit(Wrap(m).Run()) }

// New returns the DSN of a fresh database with the current schema. The
// database is dropped when the test ends, connections or not.
func New(t testing.TB) string {
	t.Helper()
	return create(t, true)
}

// NewEmpty returns the DSN of a fresh database without any schema, for tests
// of the migrations themselves.
func NewEmpty(t testing.TB) string {
	t.Helper()
	return create(t, false)
}

// BinDir returns the directory of the private server's programs, pg_dump among
// them where the machine has a complete Postgres. It is empty when
// TEST_DATABASE_URL names the server.
func BinDir(t testing.TB) string {
	t.Helper()
	return use(t).binDir
}

func create(t testing.TB, migrated bool) string {
	t.Helper()
	server := use(t)
	ctx, cancel := context.WithTimeout(t.Context(), statementBound)
	defer cancel()
	template := "template0"
	if migrated {
		template = server.template
	}
	name := databasePrefix + randomName()
	if err := server.create(ctx, name, template); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		// The context of the test is over when its cleanup runs.
		ctx, cancel := context.WithTimeout(context.Background(), statementBound)
		defer cancel()
		if err := server.drop(ctx, name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	dsn, err := withDatabase(server.dsn, name)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return dsn
}

func use(t testing.TB) *server {
	t.Helper()
	server, err := shared.get()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return server
}

func randomName() string {
	random := make([]byte, randomBytes)
	// It never fails: crypto/rand documents that it ends the program instead.
	_, _ = rand.Read(random)
	return hex.EncodeToString(random)
}

// quote writes a name as an SQL identifier. Every name here is our own
// lower-case text.
func quote(name string) string { return fmt.Sprintf("%q", name) }
