package pgref

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/verigate/verigate/bench/rig"
)

// Runner runs pgbench.
type Runner struct {
	// Program is the path of pgbench.
	Program string
	// DSN is the database.
	DSN string
	// Folder takes the scripts.
	Folder string
}

// Run is one run of a script.
type Run struct {
	Script  Script
	Clients int
	// First is the number of the first verification that nobody decided yet.
	First int64
	// Duration is rounded up to whole seconds, which is what pgbench takes. A
	// second before it warms up.
	Duration time.Duration
	// Rate, if set, is how many transactions a second are begun, whatever came of
	// those before; each is timed from when it was due.
	Rate float64
}

// Outcome is what pgbench said.
type Outcome struct {
	// PerSecond is transactions a second after the first second, in which each
	// session prepares and plans its statements; the gateway's have done so long
	// before.
	PerSecond float64
	// Transactions is how many there were. They used the numbers from First up to
	// Next at most.
	Transactions int64
	Next         int64
	// Times are those of single transactions, only where the run had a rate.
	Times []time.Duration
}

var (
	tpsLine   = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial connection time\)`)
	countLine = regexp.MustCompile(`(?m)^number of transactions actually processed: ([0-9]+)`)
	firstLine = regexp.MustCompile(`(?m)^progress: ([0-9.]+) s, ([0-9.]+) tps`)
	failLine  = regexp.MustCompile(`(?m)^number of failed transactions: ([0-9]+)`)
)

const (
	maxThreads = 2
	scriptMode = 0o600
)

// Run runs the script and waits for its end.
func (r Runner) Run(ctx context.Context, run Run) (Outcome, error) {
	path := filepath.Join(r.Folder, "pgbench.sql")
	if err := os.WriteFile(path, []byte(run.Script.text), scriptMode); err != nil {
		return Outcome{}, fmt.Errorf("writing a script for pgbench: %w", err)
	}
	warmUp := 1
	if run.Rate > 0 {
		warmUp++ // what piled up in the first second is worked off in the second
	}
	seconds := warmUp + int((run.Duration+time.Second-1)/time.Second)
	arguments := []string{
		"--no-vacuum", "--protocol=prepared", "--file=" + path,
		"--client=" + strconv.Itoa(run.Clients), "--jobs=" + strconv.Itoa(min(run.Clients, maxThreads)),
		"--time=" + strconv.Itoa(seconds), "--progress=1",
		"--define=first=" + strconv.FormatInt(run.First, 10), "--define=turn=0", "--define=clients=" + strconv.Itoa(run.Clients),
	}
	for i, value := range run.Script.fixed {
		arguments = append(arguments, "--define="+variable(i)+"="+value)
	}
	logs := filepath.Join(r.Folder, "pgbench-times")
	if run.Rate > 0 {
		arguments = append(arguments, "--rate="+strconv.FormatFloat(run.Rate, 'f', 0, 64), "--log", "--log-prefix="+logs)
	}
	plain, password, err := rig.WithoutPassword(r.DSN)
	if err != nil {
		return Outcome{}, err
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, r.Program, append(arguments, plain)...)
	if password != "" {
		cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	}
	output, err := cmd.CombinedOutput()
	if err != nil {
		return Outcome{}, fmt.Errorf("pgbench (%s) failed: %w\n%s", run.Script.Name, err, output)
	}
	outcome, err := read(string(output), run)
	if err == nil && run.Rate > 0 {
		outcome.Times, err = readTimes(logs, began.Add(time.Duration(warmUp)*time.Second))
	}
	return outcome, err
}

// readTimes reads and removes the logs of single transactions, one of each
// thread, and returns the times of those that ended after the given moment. The
// third word of a line is the time in microseconds, the fifth and sixth say when
// it ended (Postgres documentation, pgbench, per-transaction logging).
func readTimes(prefix string, after time.Time) ([]time.Duration, error) {
	paths, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the times of pgbench: %w", err)
		}
		for line := range strings.Lines(string(content)) {
			const timeAt, secondsAt = 2, 4
			words := strings.Fields(line)
			if len(words) <= secondsAt {
				continue
			}
			// A transaction that was skipped or failed has a word there.
			micros, err := strconv.ParseInt(words[timeAt], 10, 64)
			ended, endedErr := strconv.ParseInt(words[secondsAt], 10, 64)
			if err == nil && endedErr == nil && ended >= after.Unix() {
				times = append(times, time.Duration(micros)*time.Microsecond)
			}
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing the times of pgbench: %w", err)
		}
	}
	return times, nil
}

func read(output string, run Run) (Outcome, error) {
	tps, tpsErr := number(tpsLine, output)
	count, countErr := number(countLine, output)
	warm, warmErr := afterWarmUp(output, count, tps)
	if err := errors.Join(tpsErr, countErr, warmErr); err != nil {
		return Outcome{}, fmt.Errorf("%w; pgbench said:\n%s", err, output)
	}
	if failed, err := number(failLine, output); err == nil && failed > 0 {
		return Outcome{}, fmt.Errorf("%v transactions of pgbench (%s) failed:\n%s", failed, run.Script.Name, output)
	}
	done := int64(count)
	// Some clients get further than others; whoever counts what was decided
	// afterwards notices if this was too little.
	const unevenness, turns = 2, 64
	return Outcome{PerSecond: warm, Transactions: done, Next: run.First + done + done/unevenness + turns*int64(run.Clients)}, nil
}

// afterWarmUp leaves the first second out of a rate.
func afterWarmUp(output string, count, tps float64) (float64, error) {
	found := firstLine.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("pgbench printed no line like %s", firstLine)
	}
	seconds, secondsErr := strconv.ParseFloat(found[1], 64)
	rate, rateErr := strconv.ParseFloat(found[2], 64)
	rest := count/tps - seconds
	if err := errors.Join(secondsErr, rateErr); err != nil || rest <= 0 {
		return 0, errors.Join(errors.New("pgbench did not run longer than its first second"), err)
	}
	return (count - rate*seconds) / rest, nil
}

func number(line *regexp.Regexp, output string) (float64, error) {
	found := line.FindStringSubmatch(output)
	if found == nil {
		return 0, fmt.Errorf("pgbench printed no line like %s", line)
	}
	return strconv.ParseFloat(found[1], 64)
}
