package main

import (
	"os"
	"testing"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

func TestMain(m *testing.M) {
	code := pgtest.Wrap(m).Run()
	_ = os.RemoveAll(binaryDir)
	os.Exit(code)
}

// binaryDir is where the tests' binary is built, once it is.
var binaryDir string
