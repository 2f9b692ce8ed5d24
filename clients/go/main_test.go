package verigate_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// built is where the binaries under test are.
var built string

func TestMain(m *testing.M) {
	flag.Parse()
	// Scenarios mostly wait: more of them can do so than there are processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "verigate-clients-")
	if err == nil {
		built = dir
		err = build("verigate", "../../cmd/verigate")
	}
	if err == nil {
		err = build("tenlines", "./tenlines")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func build(name, source string) error {
	output, err := exec.Command("go", "build", "-o", filepath.Join(built, name), source).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", source, err, output)
	}
	return nil
}
