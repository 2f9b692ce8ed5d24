package transport_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verigate/verigate/server/transport"
)

func TestWatchingInTime(t *testing.T) {
	t.Parallel()
	const every = 10 * time.Second
	for _, c := range []struct {
		name  string
		every time.Duration
		run   func(t *testing.T, pass func(time.Duration), logged *journal, f files, c *transport.Certificate)
	}{
		{"an unchanged pair is not loaded again", every, func(t *testing.T, pass func(time.Duration), logged *journal, _ files, _ *transport.Certificate) {
			pass(time.Hour)
			if got := logged.count(); got != 1 {
				t.Errorf("an hour made %d log lines", got)
			}
		}},
		{"a half-written pair keeps the old one, is logged once and tried again", every, func(t *testing.T, pass func(time.Duration), logged *journal, f files, c *transport.Certificate) {
			fresh := newPair(t, 2, aYear)
			write(t, f.certificate, fresh.certificate)
			pass(time.Minute)
			if got := logged.count("level=WARN", "previous one stays", f.key); got != 1 || inForce(t, c) != 1 {
				t.Errorf("%d warnings, %d in force", got, inForce(t, c))
			}
			write(t, f.certificate, newPair(t, 3, aYear).certificate)
			pass(time.Minute)
			if got := logged.count("level=WARN", "previous one stays", f.key); got != 2 || inForce(t, c) != 1 {
				t.Errorf("%d warnings after another change of the same kind, %d in force", got, inForce(t, c))
			}
			write(t, f.certificate, []byte("half a wri"))
			pass(time.Minute)
			if got := logged.count("level=WARN", f.certificate, "no PEM"); got != 1 || inForce(t, c) != 1 {
				t.Errorf("%d warnings of the next change, %d in force", got, inForce(t, c))
			}
			f.put(t, fresh)
			pass(every)
			if inForce(t, c) != 2 {
				t.Error("the finished pair is not in force")
			}
		}},
		{"a pair that vanishes and comes back is logged each time it goes", every, func(t *testing.T, pass func(time.Duration), logged *journal, f files, c *transport.Certificate) {
			for round := 1; round <= 2; round++ {
				if err := os.Rename(f.key, f.key+".away"); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				if err := os.Rename(f.key+".away", f.key); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				if got := logged.count("level=WARN", f.key, "cannot be read"); got != round || inForce(t, c) != 1 {
					t.Errorf("round %d: %d warnings, %d in force", round, got, inForce(t, c))
				}
			}
		}},
		{"a write that keeps the modification time is seen", every, func(t *testing.T, pass func(time.Duration), _ *journal, f files, c *transport.Certificate) {
			then := time.Now().Add(-time.Hour)
			touch(t, f, then)
			pass(every)
			f.put(t, newPair(t, 2, aYear))
			touch(t, f, then)
			pass(every)
			if inForce(t, c) != 2 {
				t.Error("the new pair is not in force")
			}
		}},
		{"an end that draws near is warned of once, and once when it has come", aDay / 4, func(t *testing.T, pass func(time.Duration), logged *journal, f files, _ *transport.Certificate) {
			pass(aYear - 15*aDay)
			if got := logged.count("level=WARN"); got != 0 {
				t.Errorf("%d warnings 15 days before the end", got)
			}
			pass(2 * aDay)
			if got := logged.count("level=WARN", "expires soon"); got != 1 {
				t.Errorf("%d warnings 13 days before the end", got)
			}
			pass(15 * aDay)
			if soon, over := logged.count("expires soon"), logged.count("has expired"); soon != 1 || over != 1 {
				t.Errorf("%d and %d warnings after the end", soon, over)
			}
			f.put(t, newPair(t, 2, aDay))
			pass(aDay / 2)
			pass(aDay)
			if soon, over := logged.count("expires soon"), logged.count("has expired"); soon != 2 || over != 2 {
				t.Errorf("%d and %d warnings with a successor that lived for a day", soon, over)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				logged, log := newJournal()
				f := newFiles(t)
				f.put(t, newPair(t, 1, aYear))
				certificate := open(t, f, log)
				watch(t, certificate, c.every)
				c.run(t, func(d time.Duration) { <-time.After(d); synctest.Wait() }, logged, f, certificate)
			})
		})
	}
}

func touch(t *testing.T, f files, at time.Time) {
	t.Helper()
	for _, file := range []string{f.certificate, f.key} {
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
}
