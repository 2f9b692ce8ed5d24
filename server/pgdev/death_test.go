//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verigate/verigate/server/pgdev/pgbin"
)

// unprivileged returns nobody for root, and ourselves for everybody else.
func unprivileged(t *testing.T) account {
	t.Helper()
	who, err := chooseAccount()
	if err != nil {
		t.Fatal(err)
	}
	if who.credential == nil {
		return who
	}
	return accountOf(65534, 65534, "nobody")
}

func TestAGatewayOfANormalUser(t *testing.T) {
	t.Parallel()
	who := unprivileged(t)
	dir := openDir(t)
	if err := who.own(dir); err != nil {
		t.Fatal(err)
	}
	gateway := startGateway(t, filepath.Join(dir, "data"), who)
	dsn := gateway.await(t, readyPrefix)
	execute(t, open(t, dsn), "CREATE TABLE note AS SELECT 'kept' AS text")
	gateway.signalGroup(t, syscall.SIGINT)
	if err := gateway.cmd.Wait(); err != nil {
		t.Errorf("after ctrl-C the gateway ended with %v, want a clean exit", err)
	}
	cluster := filepath.Join(dir, "data", clusterName)
	if exists(filepath.Join(cluster, pidName)) {
		t.Error("the database was not shut down")
	}
	// Ctrl-C must not have reached the database itself: one request, ours.
	log, err := os.ReadFile(filepath.Join(cluster, logName))
	if got := strings.Count(string(log), "received fast shutdown request"); err != nil || got != 1 {
		t.Errorf("the database was asked to stop %d times (%v), want once", got, err)
	}
	// Root takes such a directory over without changing its owner.
	mustKeep(t, startServer(t, Options{DataDir: filepath.Join(dir, "data")}).DSN(), "kept")
}

func TestCtrlCWhileTheClusterIsMadeLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	ours := account{}
	gateway := startGateway(t, dir, ours)
	gateway.await(t, "making a database in ")
	gateway.signalGroup(t, syscall.SIGINT)
	if said := gateway.await(t, errorPrefix); !strings.Contains(said, "interrupted") {
		t.Errorf("the gateway says %s, want that it was interrupted", said)
	}
	if err := gateway.cmd.Wait(); err == nil {
		t.Error("the gateway reports success")
	}
	mustBeClean(t, dir)
	startServer(t, Options{DataDir: dir})
}

func TestAKilledGateway(t *testing.T) {
	t.Parallel()

	t.Run("while it runs, is no obstacle to the next one", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		gateway := startGateway(t, dir, account{})
		conn := open(t, gateway.await(t, readyPrefix))
		execute(t, conn, "CREATE TABLE note AS SELECT 'kept' AS text")
		gateway.signalGroup(t, syscall.SIGKILL)
		if diesWithGateway {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := conn.WaitForNotification(ctx); err == nil || ctx.Err() != nil {
				t.Fatalf("the database outlived its gateway: %v", err)
			}
		}
		mustKeep(t, startServer(t, Options{DataDir: dir}).DSN(), "kept")
	})

	t.Run("while it makes the cluster, is no obstacle either", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		gateway := startGateway(t, dir, account{})
		gateway.await(t, "making a database in ")
		gateway.signalGroup(t, syscall.SIGKILL)
		_ = gateway.cmd.Wait()
		// One more, in case this gateway was too quick to leave any.
		if err := os.Mkdir(filepath.Join(dir, asidePattern+"0"), privateMode); err != nil {
			t.Fatal(err)
		}
		startServer(t, Options{DataDir: dir})
		left, err := filepath.Glob(filepath.Join(dir, asidePattern+"*"))
		if err != nil || len(left) != 0 {
			t.Errorf("left behind: %q (%v)", left, err)
		}
	})

	t.Run("whose database lives on, has it stopped by the next one", func(t *testing.T) {
		t.Parallel()
		opts, err := Options{DataDir: openDir(t)}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		who, err := chooseAccount()
		if err != nil {
			t.Fatal(err)
		}
		place, err := openHome(t.Context(), opts, who)
		if err != nil {
			t.Fatal(err)
		}
		orphan, err := startIn(t.Context(), place, opts, pgbin.NewFinder())
		if err != nil {
			t.Fatal(errors.Join(err, place.close()))
		}
		// What a death without a signal does: the lock goes, the database stays.
		if err := place.lock.release(); err != nil {
			t.Fatal(err)
		}
		next := startServer(t, opts)
		<-orphan.Done()
		execute(t, open(t, next.DSN()), "SELECT 1")
	})

	t.Run("whose process id is somebody else's now, is no obstacle", func(t *testing.T) {
		t.Parallel()
		dir := openDir(t)
		stopServer(t, startServer(t, Options{DataDir: dir}))
		cluster := filepath.Join(dir, clusterName)
		// A living process of this machine that is no Postgres: the test.
		stale := fmt.Sprintf("%d\n%s\n1\n5432\n%s\n\n  1  1\nready   \n", os.Getpid(), cluster, cluster)
		if err := os.WriteFile(filepath.Join(cluster, pidName), []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		startServer(t, Options{DataDir: dir})
	})
}

func TestDoneTellsOfADatabaseThatDies(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	server := startServer(t, Options{DataDir: dir})
	lines := pidFile(filepath.Join(dir, clusterName))
	if len(lines) == 0 {
		t.Fatal("the database noted no process id")
	}
	log := slog.New(slog.DiscardHandler)
	if err := stopOrphan(t.Context(), filepath.Join(dir, clusterName), log); err != nil {
		t.Fatal(err)
	}
	<-server.Done()
	stopServer(t, server)
	startServer(t, Options{DataDir: dir})
}
