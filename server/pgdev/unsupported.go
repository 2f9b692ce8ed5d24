//go:build !linux && !darwin

package pgdev

import "context"

// Start returns ErrUnsupported.
func Start(_ context.Context, _ Options) (*Server, error) { return nil, ErrUnsupported }
