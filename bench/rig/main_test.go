package rig_test

import (
	"testing"

	"github.com/verigate/verigate/server/pgdev/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
