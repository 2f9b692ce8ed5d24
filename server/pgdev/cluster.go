//go:build linux || darwin

package pgdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/verigate/verigate/server/pgdev/pgbin"
)

const (
	// asidePattern names a cluster in the making.
	asidePattern = clusterName + ".init-"

	// superuser makes the cluster and can never log in to it: access lets the
	// role in and nobody else.
	superuser = "postgres"
	access    = "# Only the role of the gateway, and only through the socket in a private directory.\n" +
		"local all " + roleName + " trust\n"
	accessName = "pg_hba.conf"
	accessMode = 0o600
)

// makeCluster makes the cluster beside its place and renames it when it is
// complete: whoever dies on the way leaves nothing that looks like a cluster.
func makeCluster(ctx context.Context, place *home, bins pgbin.Binaries, opts Options) (err error) {
	if err := removeAside(place); err != nil {
		return err
	}
	if err := refuseStranger(place.cluster); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(filepath.Dir(place.cluster), asidePattern)
	if err != nil {
		return fmt.Errorf("making a directory for the database: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(aside))
		}
	}()
	if err := place.account.own(aside); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(opts.Progress, "making a database in %s (PostgreSQL %s)\n", place.cluster, bins.Version)
	if err := initialize(ctx, place.account, bins, aside, opts); err != nil {
		return err
	}
	if err := os.Rename(aside, place.cluster); err != nil {
		return fmt.Errorf("moving the new database into place: %w", err)
	}
	opts.Log.Debug("pgdev: cluster made", slog.String("directory", place.cluster))
	return nil
}

// removeAside removes what a killed process left half-made. The lock on the
// data directory says that nobody works on it.
func removeAside(place *home) error {
	left, err := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(place.cluster)), asidePattern+"*"))
	if err != nil {
		return fmt.Errorf("looking for a half-made database: %w", err)
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("removing the half-made database %s: %w", dir, err)
		}
	}
	return nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// refuseStranger refuses to build over files that are not a cluster of ours.
func refuseStranger(cluster string) error {
	entries, err := os.ReadDir(cluster)
	if errors.Is(err, os.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking into %s: %w", cluster, err)
	}
	return fmt.Errorf("%s exists and is not a Postgres cluster; move it away or choose another data directory (--data-dir)", cluster)
}

func initialize(ctx context.Context, who account, bins pgbin.Binaries, dir string, opts Options) error {
	args := []string{
		"--pgdata=" + dir, "--username=" + superuser, "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if !opts.Durable {
		args = append(args, "--no-sync")
	}
	if err := runTool(ctx, who, bins.Path("initdb"), args, ""); err != nil {
		return err
	}
	hba := filepath.Join(dir, accessName)
	if err := os.WriteFile(hba, []byte(access), accessMode); err != nil {
		return fmt.Errorf("writing %s: %w", hba, err)
	}
	// Single-user mode: no server has to be up, and no superuser to log in.
	single := append([]string{"--single", "-D", dir, "-j"}, durability(opts.Durable)...)
	single = append(single, "postgres")
	return runTool(ctx, who, bins.Path("postgres"), single, bootstrapSQL(opts.CreateDatabases))
}

// bootstrapSQL makes the role and its database. In single-user mode with -j a
// statement ends with a semicolon and an empty line.
func bootstrapSQL(createDatabases bool) string {
	role, more := "CREATE ROLE "+roleName+" LOGIN", ""
	if createDatabases {
		role += " CREATEDB"
		// Since Postgres 15 somebody may checkpoint without being a superuser.
		more = "DO $$BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_checkpoint') THEN GRANT pg_checkpoint TO " +
			roleName + "; END IF; END$$;\n\n"
	}
	return role + ";\n\n" + more + "CREATE DATABASE " + databaseName + " OWNER " + roleName + ";\n\n"
}

// runTool runs one program of Postgres to its end. Canceling ctx kills it and
// what it started.
func runTool(ctx context.Context, who account, program string, args []string, input string) error {
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	who.prepare(cmd)
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout = &output
	cmd.Stderr = &output
	dieWithParent(cmd, syscall.SIGKILL)
	proc, err := launch(cmd)
	if err != nil {
		return err
	}
	select {
	case <-proc.done:
	case <-ctx.Done():
		proc.signalGroup(syscall.SIGKILL)
		<-proc.done
	}
	if proc.interrupted(ctx) {
		return fmt.Errorf("making the database was interrupted: %w", errors.Join(context.Cause(ctx), proc.err))
	}
	// Single-user mode reports a failed statement and still exits well.
	if proc.err != nil || strings.Contains(output.String(), "ERROR:") {
		return fmt.Errorf("%s failed: %w\n%s", filepath.Base(program), errors.Join(errTool, proc.err), lastLines(output.String()))
	}
	return nil
}

var errTool = errors.New("the database could not be made")
