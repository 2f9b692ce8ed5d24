package rpc_test

import (
	"fmt"
	"testing"
	"time"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
	"github.com/verigate/verigate/server/access"
	"github.com/verigate/verigate/server/verification"
)

// fill puts n entries in the audit log, every third about another target and
// one about the whole gateway.
func (g *gateway) fill(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		in := scope()
		if i == 0 {
			in = verification.Scope{}
		}
		e, err := verification.NewAuditEntry(in, verification.Operator{Actor: "signal"}, verification.AuditReload,
			fmt.Sprintf("t%d", i%3), map[string]string{"i": fmt.Sprint(i)}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		g.vault.add(e)
	}
	stranger, err := verification.NewAuditEntry(verification.Scope{Project: "rival", Environment: verification.Test},
		verification.Operator{Actor: "signal"}, verification.AuditReload, "t0", map[string]string{"i": "rival"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	g.vault.add(stranger)
}

func TestTheAuditLogIsReadInPagesThatMissNothing(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	g.fill(t, 25)
	for filter, want := range map[string]int{"": 25, "t0": 9, "t1": 8} {
		var seen []string
		r := &verigatev1.ListAuditEntriesRequest{Action: string(verification.AuditReload), Target: filter, PageSize: 4}
		for pages := 1; ; pages++ {
			page, err := o.ListAuditEntries(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.GetEntries() {
				seen = append(seen, e.GetDetails()["i"])
			}
			if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
				break
			}
			if len(page.GetEntries()) != int(r.GetPageSize()) || pages > 25 {
				t.Fatalf("page %d has %d entries and a next one", pages, len(page.GetEntries()))
			}
			// Another size is no other list.
			r.PageSize = int32(3 + pages%2)
		}
		if len(seen) != want {
			t.Errorf("of %q there are %d entries, want %d: %v", filter, len(seen), want, seen)
		}
		for i := 1; i < len(seen); i++ {
			var newer, older int
			if _, err := fmt.Sscan(seen[i-1]+" "+seen[i], &newer, &older); err != nil || newer <= older {
				t.Errorf("of %q the order is %v (%v)", filter, seen, err)
				break
			}
		}
	}
}

func TestAPageHasFiftyEntriesUnlessItIsAskedForMore(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	g.fill(t, 60)
	for size, want := range map[int32]int{0: 50, 1: 1, 60: 60} {
		page, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{Action: string(verification.AuditReload), PageSize: size})
		if err != nil || len(page.GetEntries()) != want || (page.GetNextPageToken() == "") != (want == 60) {
			t.Errorf("asked for %d: %d entries, next %q, %v", size, len(page.GetEntries()), page.GetNextPageToken(), err)
		}
	}
}

func TestThePageTokenOfOneListIsNoneOfAnother(t *testing.T) {
	t.Parallel()
	g, _, o := operated(t)
	g.fill(t, 10)
	_, backend := g.key(t, access.BackendScopes()...)
	v := g.as(t, backend)
	verifications, err := v.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageSize: 1})
	if err != nil || verifications.GetNextPageToken() == "" {
		t.Fatalf("%v, %v", verifications, err)
	}
	entries, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{PageSize: 1})
	if err != nil || entries.GetNextPageToken() == "" {
		t.Fatalf("%v, %v", entries, err)
	}
	_, err = v.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageToken: entries.GetNextPageToken()})
	wantField(t, "a token of the audit log on verifications", err, "page_token")
	for name, r := range map[string]*verigatev1.ListAuditEntriesRequest{
		"a token of verifications": {PageToken: verifications.GetNextPageToken()},
		"another action":           {PageToken: entries.GetNextPageToken(), Action: string(verification.AuditReload)},
		"another target":           {PageToken: entries.GetNextPageToken(), Target: "t1"},
	} {
		_, err := o.ListAuditEntries(t.Context(), r)
		wantField(t, name, err, "page_token")
	}
	for name, r := range map[string]*verigatev1.ListVerificationsRequest{
		"another flow":    {PageToken: verifications.GetNextPageToken(), Flow: "identity"},
		"another subject": {PageToken: verifications.GetNextPageToken(), Subject: "alice"},
	} {
		_, err := v.ListVerifications(t.Context(), r)
		wantField(t, name, err, "page_token")
	}
	if _, err := v.ListVerifications(t.Context(), &verigatev1.ListVerificationsRequest{PageToken: verifications.GetNextPageToken()}); err != nil {
		t.Errorf("the token on its own list: %v", err)
	}
	if _, err := o.ListAuditEntries(t.Context(), &verigatev1.ListAuditEntriesRequest{PageToken: entries.GetNextPageToken()}); err != nil {
		t.Errorf("the token on its own list: %v", err)
	}
}
