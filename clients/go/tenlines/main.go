// Command tenlines starts a verification, says where to send the person, and
// prints the result: "pass" or "fail". It reads VERIGATE_URL and VERIGATE_API_KEY.
package main

import (
	"context"
	"fmt"
	"os"

	"connectrpc.com/connect/v2"

	verigate "github.com/verigate/verigate/clients/go"
	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/gen/go/verigate/v1/verigatev1connect"
)

func main() {
	ctx := context.Background()
	transport := verigate.NewTransport(verigate.HTTPClient(), os.Getenv("VERIGATE_URL"))
	api := connect.NewClient(transport, verigate.APIKey(os.Getenv("VERIGATE_API_KEY")))
	client := verigatev1connect.NewVerificationServiceClient(api)
	started, err := client.StartVerification(ctx, &verigatev1.StartVerificationRequest{Flow: "kyc", Subject: "user-1"})
	check(err)
	fmt.Fprintln(os.Stderr, started.GetHostedUrl())
	request := &verigatev1.WatchStatusRequest{Id: started.GetVerification().GetId()}
	var last *verigatev1.StatusUpdate
	for update, err := range verigate.Watch(ctx, client, request) {
		check(err)
		last = update
	}
	result := "fail"
	if last.GetResult() == verigatev1.VerificationResult_VERIFICATION_RESULT_PASS {
		result = "pass"
	}
	_, err = fmt.Fprintln(os.Stdout, result)
	check(err)
}

// check ends the program with an error, if there is one.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
