package verifyhuman_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// flat returns a completed verification in the flat shape, with more members.
func flat(status string, more ...string) string {
	return fmt.Sprintf(`{"event":"verification.completed","verification_id":"ver_1","status":%s,"product":"verifyage","environment":"test"%s}`,
		status, strings.Join(append([]string{""}, more...), ","))
}

// enveloped returns one in the envelope, with more members in data.
func enveloped(more ...string) string {
	return fmt.Sprintf(`{"id":"e1","type":"verification.completed","environment":"test","data":{"verification_id":"ver_1","status":"PASS","product":"verifyage"%s}}`,
		strings.Join(append([]string{""}, more...), ","))
}

func decodeBody(t *testing.T, body string) provider.Notice {
	t.Helper()
	n, err := open(t).Decode(webhook(body))
	if err != nil {
		t.Fatalf("Decode(%s): %v", body, err)
	}
	return n
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]struct {
		kind    verification.EventKind
		reasons []string
		unknown string
	}{
		`"PASS"`:                            {verification.Passed, nil, ""},
		`"pass"`:                            {verification.Passed, nil, ""},
		`"Pass"`:                            {verification.Passed, nil, ""},
		`"FAIL"`:                            {verification.Rejected, []string{"provider_declined"}, ""},
		`"fail"`:                            {verification.Rejected, []string{"provider_declined"}, ""},
		`"REVIEW"`:                          {verification.ReviewStarted, []string{"unknown_provider_status"}, "REVIEW"},
		`"DENIED"`:                          {verification.ReviewStarted, []string{"unknown_provider_status"}, "DENIED"},
		`"PASSED"`:                          {verification.ReviewStarted, []string{"unknown_provider_status"}, "PASSED"},
		`" PASS"`:                           {verification.ReviewStarted, []string{"unknown_provider_status"}, " PASS"},
		`"PA\u017f\u017f"`:                  {verification.ReviewStarted, []string{"unknown_provider_status"}, "PAſſ"},
		`""`:                                {verification.ReviewStarted, []string{"unknown_provider_status"}, "?"},
		`"\u0000\n"`:                        {verification.ReviewStarted, []string{"unknown_provider_status"}, "?"},
		`"` + strings.Repeat("é", 70) + `"`: {verification.ReviewStarted, []string{"unknown_provider_status"}, strings.Repeat("é", 64)},
	} {
		t.Run("the status "+status, func(t *testing.T) {
			t.Parallel()
			n := decodeBody(t, flat(status))
			if n.Kind != provider.NoticeEvent || n.Event.Kind != want.kind ||
				!slices.Equal(n.Event.ReasonCodes, want.reasons) || n.UnknownStatus != want.unknown {
				t.Errorf("got %+v", n)
			}
		})
	}
}

func TestUnreadableBodies(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing":                         "",
		"a text":                          `"x"`,
		"a list":                          `[` + flatBody + `]`,
		"null":                            "null",
		"two objects":                     flatBody + flatBody,
		"an object and a comma":           flatBody + ",",
		"a comma too many":                `{"event":"test.ping",}`,
		"a missing comma":                 `{"event":"test.ping" "a":1}`,
		"neither shape":                   `{"verification_id":"ver_1","status":"PASS","product":"verifyage"}`,
		"both shapes":                     `{"event":"test.ping","type":"test.ping","id":"e1"}`,
		"keys in another letter case":     strings.Replace(flatBody, `"event"`, `"Event"`, 1),
		"a status in another letter case": strings.Replace(flatBody, `"status"`, `"STATUS"`, 1),
		"a status twice":                  flat(`"FAIL"`, `"status":"PASS"`),
		"a status twice by escape":        flat(`"FAIL"`, `"st\u0061tus":"PASS"`),
		"an event twice":                  `{"event":"test.ping","event":"verification.completed"}`,
		"a status twice in data":          enveloped(`"status":"FAIL"`),
		"a key twice in metadata":         enveloped(`"metadata":{"a":1,"a":2}`),
		"an event that is a number":       `{"event":1}`,
		"an event that is null":           `{"event":null}`,
		"an empty event":                  `{"event":""}`,
		"an event with a NUL":             `{"event":"a\u0000"}`,
		"an event that is too long":       `{"event":"` + strings.Repeat("e", 201) + `"}`,
		"an envelope without an id":       `{"type":"test.ping","data":{}}`,
		"an envelope with an empty id":    `{"id":"","type":"test.ping","data":{}}`,
		"an envelope with a long id":      `{"id":"` + strings.Repeat("i", 201) + `","type":"test.ping","data":{}}`,
		"data that is no object":          `{"id":"e1","type":"verification.completed","data":[]}`,
		"a completed one without data":    `{"id":"e1","type":"verification.completed"}`,
		"an envelope with flat fields":    `{"id":"e1","type":"verification.completed","verification_id":"ver_1","status":"PASS","product":"verifyage","data":{}}`,
		"no verification_id":              strings.Replace(flatBody, `"verification_id"`, `"other"`, 1),
		"an empty verification_id":        strings.Replace(flatBody, `"ver_demo0001"`, `""`, 1),
		"a verification_id with a NUL":    strings.Replace(flatBody, `"ver_demo0001"`, `"ver\u0000"`, 1),
		"no status":                       strings.Replace(flatBody, `"status"`, `"other"`, 1),
		"a status that is null":           strings.Replace(flatBody, `"PASS"`, `null`, 1),
		"a status that is true":           strings.Replace(flatBody, `"PASS"`, `true`, 1),
		"no product":                      strings.Replace(flatBody, `"product"`, `"other"`, 1),
	} {
		t.Run(name+" cannot be read", func(t *testing.T) {
			t.Parallel()
			n, err := open(t).Decode(webhook(body))
			if err == nil || !reflect.DeepEqual(n, provider.Notice{}) {
				t.Fatalf("Decode: got %+v, %v, want an error alone", n, err)
			}
			if strings.Contains(err.Error(), "ver_") || strings.Contains(err.Error(), "PASS") {
				t.Errorf("the error repeats values: %v", err)
			}
		})
	}
}

func TestOtherNotices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want provider.Notice
	}{
		"a test message in the flat shape": {
			`{"event":"test.ping"}`,
			provider.Notice{
				Kind: provider.NoticePing, ProviderEvent: "test.ping",
				DedupeKey: "sha256:e6e325194c7bbae415867343894d1d24f8b80e05f64e4b6da985cc5b50ec2fa5",
			},
		},
		"a test message without data": {
			`{"id":"e2","type":"test.ping"}`,
			provider.Notice{Kind: provider.NoticePing, ProviderEvent: "test.ping", DedupeKey: "id:e2"},
		},
		"an event type that nobody knows": {
			`{"id":"e3","type":"verification.expired","data":{"verification_id":"ver_1","why":"time"}}`,
			provider.Notice{
				Kind: provider.NoticeUnknown, ProviderEvent: "verification.expired", DedupeKey: "id:e3",
				UnknownFields: []string{"data.why"},
			},
		},
		"an event type in another letter case": {
			`{"id":"e4","type":"Verification.Completed","data":{}}`,
			provider.Notice{Kind: provider.NoticeUnknown, ProviderEvent: "Verification.Completed", DedupeKey: "id:e4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decodeBody(t, c.body); !reflect.DeepEqual(got, c.want) {
				t.Errorf("Decode:\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestEventDetails(t *testing.T) {
	t.Parallel()
	t.Run("the product is lower-cased", func(t *testing.T) {
		t.Parallel()
		if n := decodeBody(t, strings.Replace(flatBody, "verifyidentity", "VerifyIdentity", 1)); n.Event.Product != "verifyidentity" {
			t.Errorf("got product %q", n.Event.Product)
		}
	})
	for text, want := range map[string]time.Time{
		"2026-05-17T10:30:00Z":             time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC),
		"2026-05-17T10:30:00.123456Z":      time.Date(2026, time.May, 17, 10, 30, 0, 123456000, time.UTC),
		"2026-05-17T12:30:00.000000+02:00": time.Date(2026, time.May, 17, 10, 30, 0, 0, time.UTC),
		"yesterday":                        {},
		"":                                 {},
	} {
		t.Run("the provider's time "+text, func(t *testing.T) {
			t.Parallel()
			n := decodeBody(t, strings.Replace(flatBody, "2026-05-17T10:30:00Z", text, 1))
			if got := n.Event.ProviderTime; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	t.Run("a flat retry has the same dedupe key, another body another", func(t *testing.T) {
		t.Parallel()
		first, again, other := decodeBody(t, flatBody), decodeBody(t, flatBody), decodeBody(t, flatBody+"\n")
		if first.DedupeKey != again.DedupeKey || first.DedupeKey == other.DedupeKey {
			t.Errorf("got %q, %q and %q", first.DedupeKey, again.DedupeKey, other.DedupeKey)
		}
	})
}

func TestUnknownFields(t *testing.T) {
	t.Parallel()
	t.Run("are named where they stand, without values, sorted", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, enveloped(`"zip":"secret"`, `"Status":"x"`, `"token":"t"`, `"session_id":"s"`, `"confidence":1`, `"event":"e"`))
		if want := []string{"data.Status", "data.event", "data.zip"}; !slices.Equal(n.UnknownFields, want) {
			t.Errorf("got %v, want %v", n.UnknownFields, want)
		}
	})
	t.Run("lose what is not plain, and what is left of nothing", func(t *testing.T) {
		t.Parallel()
		n := decodeBody(t, flat(`"PASS"`, `"a b\u0000ü-c.d_e":1`, `"ü":1`, `"`+strings.Repeat("k", 65)+`":1`, `"a\u0020b-c.d_e":1`))
		if want := []string{"ab-c.d_e", strings.Repeat("k", 64)}; !slices.Equal(n.UnknownFields, want) {
			t.Errorf("got %v, want %v", n.UnknownFields, want)
		}
	})
	t.Run("are at most twenty", func(t *testing.T) {
		t.Parallel()
		var more []string
		for i := range 30 {
			more = append(more, fmt.Sprintf(`"x%02d":1`, i))
		}
		n := decodeBody(t, flat(`"PASS"`, more...))
		if len(n.UnknownFields) != 20 || n.UnknownFields[0] != "x00" || n.UnknownFields[19] != "x19" {
			t.Errorf("got %v", n.UnknownFields)
		}
	})
}
