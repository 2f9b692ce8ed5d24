package limit_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	bare "golang.org/x/time/rate"

	"github.com/verigate/verigate/server/access/limit"
)

// BenchmarkAllow compares with a bare limiter that needs no key, measured in
// the same run: the ratio is what keys and bounded memory cost.
func BenchmarkAllow(b *testing.B) {
	for _, keys := range []int{1, 10_000, 200_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			names := make([]string, keys)
			for i := range names {
				names[i] = fmt.Sprintf("address:2001:db8:%x:%x::/64", i>>16, i&0xffff)
			}
			r := limit.Rate{Count: 100, Per: time.Minute}
			l := limit.New(time.Now)
			for _, name := range names {
				l.Allow(name, r)
			}
			reference := bare.NewLimiter(bare.Limit(float64(r.Count)/r.Per.Seconds()), r.Count)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				l.Allow(names[i%keys], r)
			}
			b.StopTimer()
			began := time.Now()
			for range b.N {
				reference.AllowN(time.Now(), 1)
			}
			perBare := float64(time.Since(began).Nanoseconds()) / float64(b.N)
			b.ReportMetric(perBare, "bare-ns/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/perBare, "x-bare")
		})
	}
}

// BenchmarkMemory reports what a bucket takes of a full Limiter.
func BenchmarkMemory(b *testing.B) {
	const keys = 100_000
	r := limit.Rate{Count: 10, Per: 24 * time.Hour}
	for range b.N {
		before := liveHeap()
		l := limit.New(time.Now)
		for i := range keys {
			l.Allow(fmt.Sprint(i), r)
		}
		b.ReportMetric(float64(liveHeap()-before)/float64(l.Len()), "B/bucket")
	}
}

func liveHeap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
