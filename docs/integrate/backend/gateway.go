package main

import (
	"connectrpc.com/connect/v2"

	verigate "github.com/verigate/verigate/clients/go"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

// gatewayAt calls the gateway at url with an API key that has the scopes
// verifications:write and verifications:read. HTTPClient follows no redirect, so
// the key goes nowhere else.
func gatewayAt(url, key string) verigatev1connect.VerificationServiceClient {
	transport := verigate.NewTransport(verigate.HTTPClient(), url)
	return verigatev1connect.NewVerificationServiceClient(connect.NewClient(transport, verigate.APIKey(key)))
}
