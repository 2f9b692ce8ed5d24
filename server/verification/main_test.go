package verification_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

// update rewrites golden files instead of comparing with them.
var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }
