package bus_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Wrap(m)) }
