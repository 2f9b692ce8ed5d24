package webhook_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
	"github.com/verigate/verigate/server/webhook"
)

// again is a reader without a server, and a delivery that was unreadable.
func again() (*ingress, *webhook.Reader, *verification.Delivery) {
	in := &ingress{}
	d := &verification.Delivery{
		ID: uuid.Must(uuid.NewV7()), Scope: verification.Scope{Project: "shop", Environment: verification.Test}, Connection: "fake",
		ReceiveTime: receiveTime(), Headers: map[string]string{"X-Fake-Event": "done"}, Body: []byte(`{"a":1}`),
		DedupeKey: "a hash", Effect: verification.Unreadable,
	}
	return in, &webhook.Reader{Connections: in, Meter: in, Log: slog.New(slog.NewJSONHandler(in, nil))}, d
}

func TestAKeptDeliveryIsReadAgain(t *testing.T) {
	t.Parallel()
	t.Run("as what the adapter says today", func(t *testing.T) {
		t.Parallel()
		in, reader, d := again()
		in.notice = provider.Notice{
			Kind: provider.NoticeEvent, DedupeKey: "d2", ProviderEvent: "done", ProviderStatus: "PASS", UnknownStatus: "PASS",
			Event: verification.Event{Kind: verification.ReviewStarted, Refs: []string{"run:1"}},
		}
		id := d.ID
		if err := reader.ReadAgain(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if d.Effect != "" || d.DedupeKey != "d2" || d.ProviderEvent != "done" || d.ProviderStatus != "PASS" || d.Event.Refs[0] != "run:1" ||
			d.ID != id || !d.ReceiveTime.Equal(receiveTime()) || string(d.Body) != `{"a":1}` {
			t.Errorf("it reads as %+v", d)
		}
		if len(in.unknown) != 1 {
			t.Errorf("unknown statuses of %v were counted", in.unknown)
		}
	})
	t.Run("with the body and the headers that were kept", func(t *testing.T) {
		t.Parallel()
		in, reader, d := again()
		in.decoded = func(w provider.Webhook) {
			if w.Header.Get("X-Fake-Event") != "done" || string(w.Body) != `{"a":1}` || !w.ReceiveTime.Equal(receiveTime()) {
				t.Errorf("the adapter is given %+v", w)
			}
		}
		if err := reader.ReadAgain(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("as unreadable, without what an earlier reading found", func(t *testing.T) {
		t.Parallel()
		in, reader, d := again()
		in.decodeErr = errors.New("no status")
		d.Effect, d.ProviderEvent, d.ProviderStatus, d.Event.Kind = verification.Refused, "done", "PASS", verification.Passed
		if err := reader.ReadAgain(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if d.Effect != verification.Unreadable || d.ProviderEvent+d.ProviderStatus+string(d.Event.Kind) != "" || !strings.HasPrefix(d.DedupeKey, "sha256:") {
			t.Errorf("it reads as %+v", d)
		}
	})
	for kind, effect := range map[provider.NoticeKind]verification.Effect{
		provider.NoticePing: verification.Ping, provider.NoticeUnknown: verification.Unknown,
	} {
		t.Run("as "+string(effect), func(t *testing.T) {
			t.Parallel()
			in, reader, d := again()
			in.notice = provider.Notice{Kind: kind, DedupeKey: "d2"}
			if err := reader.ReadAgain(t.Context(), d); err != nil || d.Effect != effect {
				t.Errorf("it reads as %+v (%v)", d, err)
			}
		})
	}
}

func TestAKeptDeliveryOfAConnectionThatIsGoneStaysAsItIs(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*verification.Delivery){
		"the connection is not there":   func(d *verification.Delivery) { d.Connection = "old" },
		"it is another project's now":   func(d *verification.Delivery) { d.Scope.Project = "rival" },
		"it is of the other kind today": func(d *verification.Delivery) { d.Scope.Environment = verification.Live },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, reader, d := again()
			change(d)
			err := reader.ReadAgain(t.Context(), d)
			if verification.KindOf(err) != verification.KindRefused || !strings.Contains(err.Error(), d.Connection) {
				t.Errorf("the operator is told %v, which should name %s", err, d.Connection)
			}
			if d.Effect != verification.Unreadable || d.DedupeKey != "a hash" {
				t.Errorf("it is %+v", d)
			}
		})
	}
}
