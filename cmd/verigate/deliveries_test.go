package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// parked is a running site with a delivery that waits, because two verifications
// are open: it returns the ids of both and of the delivery.
func parked(t *testing.T) (r *runningSite, first, second, delivery string) {
	t.Helper()
	r = newSite(t).serve(t)
	first, second = r.begin(t, "u1", "order-1"), r.begin(t, "u2", "order-2")
	r.webhook(t, "vh-run-1")
	listed, _ := r.ask(t, "deliveries", "list", "--effect", "unmatched", "--json").json(t)["deliveries"].([]any)
	if len(listed) != 1 {
		t.Fatalf("%d deliveries wait, want one", len(listed))
	}
	return r, first, second, dig(listed[0].(map[string]any), "id")
}

func TestDeliveriesAreListedAndShown(t *testing.T) {
	t.Parallel()
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, first, _, delivery := parked(t)
			listed := way(r, t, "deliveries", "list").want(t, exitPass, "PROVIDER SAID", "")
			row := rowOf(listed.out, delivery)
			for _, want := range []string{"verifyhuman-live", "unmatched", "passed", "verification.completed"} {
				if !strings.Contains(row, want) {
					t.Errorf("the row %q lacks %q", row, want)
				}
			}
			way(r, t, "deliveries", "list", "--effect", "unmatched,unreadable", "--connection", "verifyhuman-live").want(t, exitPass, delivery, "")
			way(r, t, "deliveries", "list", "--effect", "applied").want(t, exitPass, "", "no deliveries match")
			way(r, t, "deliveries", "list", "--verification", first).want(t, exitPass, "", "no deliveries match")
			way(r, t, "deliveries", "list", "--connection", "another").want(t, exitPass, "", "no deliveries match")
			r.webhook(t, "vh-run-2")
			way(r, t, "deliveries", "list", "--limit", "1").want(t, exitPass, "", "there are more: --limit 51")
			all := way(r, t, "deliveries", "list", "--limit", "0", "--json").json(t)
			if both, _ := all["deliveries"].([]any); len(both) != 2 || dig(all, "nextPageToken") != "" {
				t.Errorf("deliveries list printed %v", all)
			}
			shown := way(r, t, "deliveries", "show", delivery).want(t, exitPass, "vh-run-1", "")
			if strings.Contains(shown.out, `"event"`) || !strings.Contains(shown.out, "verifyage") {
				t.Errorf("deliveries show printed %s", shown.out)
			}
			if got := way(r, t, "deliveries", "show", delivery, "--json").json(t); dig(got, "delivery", "effect") != "EFFECT_UNMATCHED" || dig(got, "body") != "" {
				t.Errorf("deliveries show printed %v", got)
			}
			way(r, t, "deliveries", "show", first).want(t, exitNotFound, "", "no such delivery")
			way(r, t, "deliveries", "show", "7").want(t, exitUsage, "", "id")
			if log := way(r, t, "audit", "--target", delivery); strings.Contains(log.out, delivery) {
				t.Errorf("the audit log tells of a look at no content:\n%s", log.out)
			}
		})
	}
}

func TestWhatIsInADeliveryIsPrintedAsItCame(t *testing.T) {
	t.Parallel()
	r, _, _, delivery := parked(t)
	shown := r.ask(t, "deliveries", "show", delivery, "--content").want(t, exitPass, "as the provider sent them", "")
	if !strings.Contains(shown.out, "\n\n{\"event\":\"verification.completed\",\"verification_id\":\"vh-run-1\"") || !strings.HasSuffix(shown.out, "}\n") {
		t.Errorf("deliveries show printed %s", shown.out)
	}
	got := r.ask(t, "deliveries", "show", delivery, "--content", "--json").json(t)
	body, err := base64.StdEncoding.DecodeString(dig(got, "body"))
	if err != nil || string(body) != dig(got, "bodyText") || !strings.Contains(string(body), "vh-run-1") || dig(got, "headers", "Content-Type") != "application/json" {
		t.Errorf("deliveries show printed %v", got)
	}
	listed := r.ask(t, "audit", "--action", "delivery.read").want(t, exitPass, delivery, "")
	if n := strings.Count(listed.out, delivery); n != 2 {
		t.Errorf("%d looks are in the audit log, want 2:\n%s", n, listed.out)
	}
}

func TestAnOperatorSettlesADelivery(t *testing.T) {
	t.Parallel()
	for name, way := range ways() {
		t.Run("and decides "+name, func(t *testing.T) {
			t.Parallel()
			r, first, second, delivery := parked(t)
			r.ask(t, "deliveries", "replay", delivery).want(t, exitPass, delivery+"  unmatched", "")
			bind := []string{"deliveries", "bind", delivery, "--reason", "ticket-1", "--verification"}
			r.ask(t, append(bind, delivery)...).want(t, exitNotFound, "", "no such verification")
			r.ask(t, append(bind, first)...).want(t, exitPass, first+"  approved", "")
			r.ask(t, append(bind, second)...).want(t, exitRefused, "", "it is applied")
			r.ask(t, "deliveries", "replay", delivery).want(t, exitRefused, "", "applied already")

			way(r, t, "override", first, "--to", "declined", "--reason", "ticket-2").want(t, exitPass, first+"  declined", "")
			way(r, t, "override", first, "--to", "declined", "--reason", "ticket-3").want(t, exitPass, first+"  declined", "")
			way(r, t, "override", delivery, "--to", "declined", "--reason", "ticket-4").want(t, exitNotFound, "", "no such verification")
			way(r, t, "override", first, "--to", "approved", "--reason", "for U1").want(t, exitUsage, "", "contains the subject")
			runBinary(t, r.dir, r.as(r.public, r.backend), "", "cancel", second).want(t, exitPass, "canceled", "")
			way(r, t, "override", second, "--to", "approved", "--reason", "ticket-5").want(t, exitRefused, "", "start a new one")

			told := way(r, t, "timeline", first).want(t, exitPass, "created → pending", "").out
			for _, want := range []string{
				"pending → approved", "operator (bound)", "reason=ticket-1", "delivery=" + delivery,
				"approved → declined", "revised_to_rejected", "reason=ticket-2", "the provider is not",
			} {
				if !strings.Contains(told, want) {
					t.Errorf("the timeline lacks %q:\n%s", want, told)
				}
			}
			got := way(r, t, "timeline", first, "--json").json(t)
			if entries, _ := got["entries"].([]any); len(entries) != 4 || dig(got, "verification", "id") != first {
				t.Errorf("timeline printed %v", got)
			}
			way(r, t, "timeline", delivery).want(t, exitNotFound, "", "no such verification")

			for action, want := range map[string]int{"delivery.replay": 1, "delivery.bind": 1, "verification.override": 1} {
				entries, _ := way(r, t, "audit", "--action", action, "--json").json(t)["entries"].([]any)
				if len(entries) != want {
					t.Errorf("the audit log has %d entries of %s, want %d", len(entries), action, want)
				}
			}
		})
	}
}

func TestSettlingSpeaksJSON(t *testing.T) {
	t.Parallel()
	r, first, _, delivery := parked(t)
	if got := r.ask(t, "deliveries", "replay", delivery, "--json").json(t); dig(got, "delivery", "id") != delivery {
		t.Errorf("replay printed %v", got)
	}
	got := r.ask(t, "deliveries", "bind", delivery, "--verification", first, "--reason", "t", "--json").json(t)
	if dig(got, "delivery", "verificationId") != first || dig(got, "verification", "match") != "VERIFICATION_MATCH_BOUND" {
		t.Errorf("bind printed %v", got)
	}
	if got := r.ask(t, "override", first, "--to", "declined", "--reason", "t", "--json").json(t); dig(got, "verification", "state") != "VERIFICATION_STATE_DECLINED" {
		t.Errorf("override printed %v", got)
	}
}

func TestWhatOnlyARunningGatewayCanDoNamesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, args := range map[string][]string{
		"what is in a delivery": {"deliveries", "show", testID, "--content"},
		"a replay":              {"deliveries", "replay", testID},
		"a binding":             {"deliveries", "bind", testID, "--verification", testID, "--reason", "t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.direct(t, args...).want(t, exitUsage, "", "Name its operator listener with --url")
		})
	}
}

func TestAWrongCommandAboutDeliveriesIsToldBeforeAnyCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, line, want string }{
		{"an effect that is none", "deliveries list --effect parked", `"parked" is no effect; the effects are applied, duplicate`},
		{"fewer than none", "deliveries list --limit=-1", "--limit: must not be negative"},
		{"a list with an argument", "deliveries list " + testID, "flags only"},
		{"a look at nothing", "deliveries show", "give one delivery's id"},
		{"a replay of two", "deliveries replay a b", "give one delivery's id"},
		{"a binding to nothing", "deliveries bind " + testID + " --reason t", "--verification: must not be empty"},
		{"a binding without a reason", "deliveries bind " + testID + " --verification " + testID, "--reason: must not be empty"},
		{"a reason that is no text", "deliveries bind " + testID + " --verification " + testID + " --reason \xff", "--reason: must be UTF-8"},
		{"a timeline of nothing", "timeline", "give one verification's id"},
		{"an override of nothing", "override --to approved --reason t", "give one verification's id"},
		{"an override to no decision", "override " + testID + " --to expired --reason t", "--to: must be one of approved, declined"},
		{"an override without a decision", "override " + testID + " --reason t", "--to: must be one of approved, declined"},
		{"an override without a reason", "override " + testID + " --to approved", "--reason: must not be empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			asked := false
			b.mux.HandleFunc("/verigate.v1.OperatorService/", func(http.ResponseWriter, *http.Request) { asked = true })
			b.want(exitUsage, b.run(strings.Fields(c.line)...), "", c.want)
			if asked {
				t.Error("the server was called")
			}
		})
	}
}
