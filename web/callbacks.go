package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

const (
	callbacksPath = "/demo/callbacks"
	// headerWebhookID names the event, by the Standard Webhooks specification.
	headerWebhookID = "webhook-id"
	// maxCallback is far more than a callback has, in bytes.
	maxCallback = 64 << 10
	// tellPatience bounds each write to a page that listens.
	tellPatience = 10 * time.Second
)

// runForm is the form of crypto/rand.Text, of which runs are made.
var runForm = regexp.MustCompile(`^[A-Z2-7]{26}$`)

// receiveCallback takes one callback as a backend should: the signature over the
// bytes as they arrived first, then the rest. What does not verify is not kept.
func (d *demo) receiveCallback(w http.ResponseWriter, r *http.Request) {
	run := r.URL.Query().Get("run")
	if !runForm.MatchString(run) {
		say(w, http.StatusNotFound, "run: must be that of a start on the demo page.")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			say(w, http.StatusRequestEntityTooLarge, "body: must not be larger than 64 KiB.")
			return
		}
		say(w, http.StatusBadRequest, "body: was cut off; send it again.")
		return
	}
	if err := d.options.Callbacks.Verify(body, r.Header); err != nil {
		d.options.Log.WarnContext(r.Context(), "the demo page refused a callback whose signature does not verify")
		say(w, http.StatusUnauthorized, "The signature does not verify.")
		return
	}
	event := &verigatev1.Event{}
	// A newer gateway may know more fields.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, event); err != nil || event.GetId() != r.Header.Get(headerWebhookID) {
		say(w, http.StatusBadRequest, "body: must be an event in JSON whose id is the webhook-id.")
		return
	}
	d.inbox.keep(run, message{ID: event.GetId(), ReceivedAt: d.options.Now().UTC(), Body: string(body)})
	w.WriteHeader(http.StatusNoContent)
}

// tellCallbacks sends a run's callbacks as server-sent events: those that are
// kept, then each as it arrives, until the page leaves or the server stops.
//
// The run is the right to hear them. It has 128 bits from crypto/rand and is
// given to the tab that started, and to the gateway, only. A run for which
// nothing came says nothing: after a restart that one may still come.
func (d *demo) tellCallbacks(w http.ResponseWriter, r *http.Request) {
	if refused := checkSource(r, "Only the demo page itself may hear callbacks here."); refused != nil {
		say(w, refused.status, refused.text)
		return
	}
	run := r.URL.Query().Get("run")
	if !runForm.MatchString(run) {
		say(w, http.StatusNotFound, "run: must be that of a start on the demo page.")
		return
	}
	control := http.NewResponseController(w)
	// It waits for longer than any request may take to arrive.
	_ = control.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	// The first line opens the page's connection at once; it also says how many
	// milliseconds to wait after a lost one.
	if !tell(w, control, []byte("retry: 1000\n\n")) {
		return
	}
	for from := 0; ; {
		messages, next, changed := d.inbox.since(run, from)
		for _, m := range messages {
			// JSON text has no line breaks, which would end the event.
			text, err := json.Marshal(m)
			if err != nil || !tell(w, control, append(append([]byte("data: "), text...), "\n\n"...)) {
				return
			}
		}
		from = next
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-d.options.Done:
			return
		}
	}
}

// tell writes one event and reports whether the page is still there.
func tell(w http.ResponseWriter, control *http.ResponseController, text []byte) bool {
	// Fails only on writers that no server of ours has.
	_ = control.SetWriteDeadline(time.Now().Add(tellPatience))
	if _, err := w.Write(text); err != nil {
		return false
	}
	return control.Flush() == nil
}
