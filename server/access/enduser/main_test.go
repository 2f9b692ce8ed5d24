// RSA keys that are too weak for Go must be refused by our own rule.
//
//go:debug rsa1024min=0
package enduser_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
