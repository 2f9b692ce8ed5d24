package main

import (
	"context"
	"net/http"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// gatewayAt calls the gateway at url with an API key that has the scopes
// verifications:write and verifications:read.
func gatewayAt(url, key string) verigatev1connect.VerificationServiceClient {
	authorize := func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if call, ok := connect.CallInfoForClientContext(ctx); ok {
				call.RequestHeader().Set("Authorization", "Bearer "+key)
			}
			return next(ctx, spec)
		}
	}
	transport := connecthttp.NewTransport(&http.Client{}, url)
	return verigatev1connect.NewVerificationServiceClient(connect.NewClient(transport, authorize))
}
