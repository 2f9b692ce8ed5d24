//go:build linux || darwin

package pgdev

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is who the database runs as: nil means as ourselves. Postgres
// refuses to run as root, so root needs somebody else.
type account struct {
	credential *syscall.Credential
	name       string
}

// chooseAccount returns ourselves, or for root the customary database account
// or else nobody.
func chooseAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{name: "uid " + strconv.Itoa(os.Geteuid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		entry, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := parseID(entry.Uid)
		gid, gidErr := parseID(entry.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("reading the account %s: %w", name, err)
		}
		return accountOf(uid, gid, name), nil
	}
	return account{}, errors.New(
		"postgres refuses to run as root, and this machine has neither an account postgres nor nobody; create one, or run as another user")
}

func accountOf(uid, gid uint32, name string) account {
	return account{credential: &syscall.Credential{Uid: uid, Gid: gid}, name: name}
}

// parseID reads a user or group id. Some systems print nobody's as -2.
func parseID(text string) (uint32, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < math.MinInt32 || id > math.MaxUint32 {
		return 0, fmt.Errorf("%q is not an account number", text)
	}
	return uint32(id & math.MaxUint32), nil
}

// prepare makes cmd run as the account, in a process group of its own (ctrl-C
// in the terminal must not reach the database), in a directory that every
// account can enter, without the settings that Postgres programs would read
// from the environment.
func (a account) prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
}

// own gives a directory that we made to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	if err := os.Chown(path, int(a.credential.Uid), int(a.credential.Gid)); err != nil {
		return fmt.Errorf("giving %s to the account %s: %w", path, a.name, err)
	}
	return nil
}

// reaches reports whether the account can enter dir. It lets the kernel
// answer, by starting a trivial program there: modes alone do not tell.
func (a account) reaches(ctx context.Context, dir string) bool {
	if a.credential == nil {
		return true
	}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", ":")
	a.prepare(cmd)
	cmd.Dir = dir
	return cmd.Run() == nil
}
