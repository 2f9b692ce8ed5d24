// Package deploy_test runs the configurations of this folder: each file as it
// stands, in the real proxy, in front of the real gateway.
//
//	client ─TLS─▶ proxy (nginx.conf, haproxy.cfg, …) ─▶ verigate serve ─▶ Postgres
//	127.0.0.2     127.x.y.z                             127.x.y.z
//
// What a test changes in a file is a short list of swaps, each of which must
// hit: addresses, certificate, account, and the long time-outs, which shrink by
// the same factor as the heartbeat. A minute of a real stream so takes four
// seconds, and a time-out that is shorter than the silence it must bear fails.
package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

const (
	// patience bounds every wait. Nothing waits for it to pass.
	patience = 60 * time.Second
	// shrink is by how much the tests are faster than the files: the gateway's
	// heartbeat is 15 s by default and 1 s here.
	shrink = 15
)

// binary is the gateway, built before the first test.
var binary string

func TestMain(m *testing.M) { goleak.VerifyTestMain(built{pgtest.Wrap(m)}) }

// built runs the tests with the gateway's binary at hand.
type built struct{ tests *pgtest.Runner }

// Run implements what goleak asks of a testing.M.
func (b built) Run() int {
	dir, err := os.MkdirTemp("", "verigate-deploy-")
	if err != nil {
		return complain(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "verigate")
	if output, err := exec.Command("go", "build", "-o", binary, "../../cmd/verigate").CombinedOutput(); err != nil {
		return complain(fmt.Errorf("go build: %w\n%s", err, output))
	}
	return b.tests.Run()
}

func complain(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, err)
	return 1
}
