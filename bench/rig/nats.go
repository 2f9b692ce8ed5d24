package rig

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// natsPackage is the server that is built when it is needed.
const natsPackage = "github.com/verigate/verigate/bench/natsd"

// StartNATS builds and starts a NATS server on loopback; Ready is its URL. It
// needs the Go tool and this repository's sources around it.
func StartNATS(ctx context.Context, folder string) (*Process, error) {
	program := filepath.Join(folder, "natsd")
	output, err := exec.CommandContext(ctx, "go", "build", "-o", program, natsPackage).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf(
			"building the NATS server: %w; run the benchmark in a checkout of this repository, with Go installed (https://go.dev/doc/install)\n%s", err, output)
	}
	return StartProcess(ctx, Command{Name: "nats", Program: program, Folder: folder})
}
