package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// curlStart starts $FLOW, with a backend that hears of it, and says the id.
const curlStart = `set -euo pipefail
START=$(curl -fsS "$VERIGATE_URL/verigate.v1.VerificationService/StartVerification" \
  -H "Authorization: Bearer $VERIGATE_API_KEY" -H 'Content-Type: application/json' \
  -d '{"flow":"'"$FLOW"'","subject":"u1","redirectUrl":"myapp://done","callbackUrl":"'"$BACKEND"'","eventsCallbackUrl":"'"$BACKEND"'"}')
ID=$(printf %s "$START" | sed 's/.*"verification":{"id":"\([^"]*\)".*/\1/')
echo "id $ID"
`

// curlVerifyHuman and curlAiPrise say what the providers would say.
const (
	curlVerifyHuman = `BODY='{"event":"verification.completed","verification_id":"ver_'"$ID"'","status":"PASS","product":"'"$PRODUCT"'","environment":"test","timestamp":"2026-05-17T10:30:00Z"}'
SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac whsec_sandbox_verifyhuman | sed 's/^.* //')
curl -fsS "$VERIGATE_URL/webhooks/verifyhuman-sandbox" -H 'Content-Type: application/json' \
  -H "X-VerifyHuman-Signature: sha256=$SIGNATURE" --data-binary "$BODY"
`
	curlAiPrise = `SESSION=$(printf %s "$START" | sed 's/.*verification_session_id=\([^"]*\)".*/\1/')
say() {
  SIGNATURE=$(printf %s "$2" | openssl dgst -sha256 -hmac sandbox-aiprise-key | sed 's/^.* //')
  curl -fsS "$VERIGATE_URL/webhooks/aiprise-sandbox$1" -H 'Content-Type: application/json' \
    -H "X-HMAC-SIGNATURE: $SIGNATURE" --data-binary "$2"
}
say /events '{"event_type": "VERIFICATION_REQUEST_SUBMITTED", "verification_session_id": "'"$SESSION"'"}'
say '' '{"verification_session_id": "'"$SESSION"'", "client_reference_id": "'"$ID"'", "status": "COMPLETED", "aiprise_summary": {"verification_result": "APPROVED"}}'
`
)

// The three flows of dev by curl and openssl alone, with a backend that verifies
// what it is sent.
func TestEachFlowRunsToItsResultByCurl(t *testing.T) {
	t.Parallel()
	d := launchDev(t)
	receiver, address := d.backend(t)
	for _, c := range []struct{ flow, product, webhook string }{
		{"identity", "verifyidentity", curlVerifyHuman}, {"age-gate", "verifyage", curlVerifyHuman}, {"kyc", "", curlAiPrise},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		shell := exec.CommandContext(ctx, "bash", "-c", curlStart+c.webhook)
		shell.Env = append(os.Environ(), "VERIGATE_URL="+d.url, "VERIGATE_API_KEY="+d.key,
			"FLOW="+c.flow, "PRODUCT="+c.product, "BACKEND="+strings.TrimSpace(address))
		output, err := shell.CombinedOutput()
		cancel()
		id := regexp.MustCompile(`(?m)^id (\S+)$`).FindStringSubmatch(string(output))
		if err != nil || id == nil {
			t.Fatalf("%s: %v\n%s", c.flow, err, output)
		}
		d.heard(t, receiver, id[1], "VERIFICATION_STATE_APPROVED")
	}
}
