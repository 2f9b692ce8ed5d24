package intake

import (
	"context"

	"github.com/verigate/verigate/server/verification"
)

// Put is the first half of Deliver; the returned function waits for the answer.
func (in *Intake) Put(ctx context.Context, d *verification.Delivery) (wait func() error, err error) {
	e, err := in.put(ctx, d)
	if err != nil {
		return nil, err
	}
	return func() error { return (<-e.answer).err }, nil
}
