package rig_test

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/verigate/verigate/bench/rig"
)

func TestIDsAreUUIDv7OfTheirSet(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_770_000_000_123)
	set := rig.Set{Number: 0xabc, Time: now}
	first, second := set.ID(1), set.ID(2)
	if first == uuid.Nil || first.Version() != 7 || first.Variant() != uuid.RFC4122 {
		t.Fatalf("%s is no UUIDv7", first)
	}
	if seconds, nanos := first.Time().UnixTime(); time.Unix(seconds, nanos).UnixMilli() != now.UnixMilli() {
		t.Errorf("%s tells another time", first)
	}
	if first.String() >= second.String() || first == (rig.Set{Number: 0xabd, Time: now}).ID(1) {
		t.Errorf("%s and %s do not sort by their numbers", first, second)
	}
}

func TestUsageOfTellsMemoryAndCPU(t *testing.T) {
	t.Parallel()
	before, err := rig.UsageOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if before.RSS <= 0 || before.PeakRSS < before.RSS {
		t.Errorf("%+v", before)
	}
	if busy := rig.Busy(rig.Usage{At: time.Unix(1, 0)}, rig.Usage{At: time.Unix(3, 0), CPU: time.Second}); busy != 0.5 {
		t.Errorf("one second in two is %v of a core", busy)
	}
	if _, err := rig.UsageOf(-1); err == nil {
		t.Error("a process that is not there has a usage")
	}
}
