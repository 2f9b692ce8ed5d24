package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/verigate/verigate/bench/rig"
)

// Crowd is the child process, as the benchmark sees it.
type Crowd struct {
	process *rig.Process
}

// Options say how a crowd is started.
type Options struct {
	// Name is for messages and the log.
	Name string
	// Folder takes the log.
	Folder string
	// Secrets has the key that signs the watchers' client tokens.
	Secrets rig.Secrets
}

// Start starts a crowd without watchers.
func Start(ctx context.Context, o Options) (*Crowd, error) {
	p, err := rig.StartProcess(ctx, rig.Command{
		Name: o.Name, Folder: o.Folder, Args: []string{"bench", "crowd"}, Env: []string{envTokens + "=" + o.Secrets.Tokens, envTokenKeyID + "=" + o.Secrets.TokenKeyID, "GOGC=400"},
	})
	if err != nil {
		return nil, err
	}
	return &Crowd{process: p}, nil
}

// Watchers says what to open.
type Watchers struct {
	// Address is host:port of the gateway.
	Address string
	// Set and First name the verifications, Count of them.
	Set          rig.Set
	First, Count int64
	// PerLine is how many share one HTTP/2 connection; 0 opens one HTTP/1.1
	// connection for each.
	PerLine int64
}

// openTimeout bounds the opening of many watchers.
const openTimeout = 3 * time.Minute

// Open adds watchers, and returns when each of them has its first message.
func (c *Crowd) Open(ctx context.Context, w Watchers) error {
	_, err := c.do(ctx, order{
		Op: opOpen, Address: w.Address, SetNumber: w.Set.Number, SetTime: w.Set.Time, Project: w.Set.Project,
		First: w.First, Count: w.Count, PerLine: w.PerLine,
	}, openTimeout)
	return err
}

// Told returns the terminal messages since the last call, as soon as there are as
// many as wanted, or an error after the given patience.
func (c *Crowd) Told(ctx context.Context, want int64, patience time.Duration) ([]Told, error) {
	r, err := c.do(ctx, order{Op: opTold, Want: want, Patience: patience}, patience+openTimeout)
	return r.Told, err
}

// Close ends all watchers; new ones may be opened.
func (c *Crowd) Close(ctx context.Context) error {
	_, err := c.do(ctx, order{Op: opClose}, openTimeout)
	return err
}

// Stop ends the process.
func (c *Crowd) Stop() error { return c.process.Stop() }

func (c *Crowd) do(ctx context.Context, o order, patience time.Duration) (reply, error) {
	line, err := json.Marshal(o)
	if err != nil {
		return reply{}, err
	}
	answer, err := c.process.Ask(ctx, string(line), patience)
	if err != nil {
		return reply{}, err
	}
	var r reply
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		return reply{}, fmt.Errorf("the crowd's answer cannot be read: %w", err)
	}
	if r.Error != "" {
		return r, errors.New("the crowd of watchers: " + r.Error)
	}
	return r, nil
}
