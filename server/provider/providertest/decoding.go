package providertest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/verification"
)

// damagedBodies is how many damaged copies of each fixture are decoded.
const damagedBodies = 2000

// maxWords bounds the provider's own words for a status, in runes: they stand in
// one line of an operator's list.
const maxWords = 100

func runDecoding(t *testing.T, h Harness) {
	t.Helper()
	for _, f := range h.Fixtures {
		t.Run("is read as its golden notice: "+f.Name, func(t *testing.T) {
			t.Parallel()
			p, _ := h.open(t)
			got, err := p.Decode(h.webhook(f, currentSecret, arrival()))
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if !reflect.DeepEqual(got, f.Notice) {
				t.Errorf("Decode:\n got %+v\nwant %+v", got, f.Notice)
			}
		})
		t.Run("survives any damage: "+f.Name, func(t *testing.T) {
			t.Parallel()
			p, log := h.open(t)
			for at := range f.Body {
				CheckDecode(t, p, f.Body[:at])
			}
			// A fixed seed: what fails once fails again.
			random := rand.New(rand.NewPCG(1, uint64(len(f.Body))))
			for range damagedBodies {
				CheckDecode(t, p, damaged(random, f.Body))
			}
			refuseText(t, "the log", log.String(), currentSecret, previousSecret)
		})
	}
	t.Run("survives bodies that no provider sends", func(t *testing.T) {
		t.Parallel()
		p, _ := h.open(t)
		const deep = 20000
		for _, body := range []string{
			"", " ", "\x00", "\xff\xfe", "null", "true", "0", `""`, "[]", "{}", "{", "}", `{"":""}`, "{}{}",
			strings.Repeat("[", deep), strings.Repeat(`{"a":`, deep), "<html></html>", "a=b&c=d",
		} {
			CheckDecode(t, p, []byte(body))
		}
	})
}

// damaged returns a copy of the body with a few bytes changed, removed or
// inserted.
func damaged(random *rand.Rand, body []byte) []byte {
	const mostPlaces, kinds = 4, 3
	noise := []byte("\x00\n\"\\{}[],:0aA\x7f\x80\xc3\xff")
	out := append([]byte{}, body...)
	for range 1 + random.IntN(mostPlaces) {
		if len(out) == 0 {
			break
		}
		at := random.IntN(len(out))
		b := noise[random.IntN(len(noise))]
		switch random.IntN(kinds) {
		case 0:
			out[at] = b
		case 1:
			out = append(out[:at], out[at+1:]...)
		default:
			out = append(out[:at], append([]byte{b}, out[at:]...)...)
		}
	}
	return out
}

// CheckDecode decodes a body and checks what holds for any bytes at all: no
// panic, and either an error or a notice that can be stored and acted on. Fuzz
// targets of adapters call it too.
func CheckDecode(t *testing.T, p provider.Provider, body []byte) {
	t.Helper()
	n, err := p.Decode(provider.Webhook{Body: body, ReceiveTime: arrival()})
	if err == nil {
		checkNotice(t, body, n)
		return
	}
	if !reflect.DeepEqual(n, provider.Notice{}) {
		t.Errorf("Decode(%q) returns both a notice and an error: %+v, %v", body, n, err)
	}
}

func checkNotice(t *testing.T, body []byte, n provider.Notice) {
	t.Helper()
	if n.DedupeKey == "" {
		t.Errorf("Decode(%q): the notice has no dedupe key", body)
	}
	for _, fault := range textFaults(n) {
		t.Errorf("Decode(%q): %s", body, fault)
	}
	switch n.Kind {
	case provider.NoticePing, provider.NoticeUnknown:
		if !reflect.DeepEqual(n.Event, verification.Event{}) || n.UnknownStatus != "" {
			t.Errorf("Decode(%q): a notice without an event says %+v", body, n)
		}
	case provider.NoticeEvent:
		checkEvent(t, body, n)
	default:
		t.Errorf("Decode(%q): no such kind of notice: %d", body, n.Kind)
	}
}

func checkEvent(t *testing.T, body []byte, n provider.Notice) {
	t.Helper()
	if !slices.Contains(verification.EventKinds(), n.Event.Kind) {
		t.Errorf("Decode(%q): no such event: %q", body, n.Event.Kind)
	}
	if n.UnknownStatus != "" && n.Event.Kind != verification.ReviewStarted {
		t.Errorf("Decode(%q): the unknown status %q became %q", body, n.UnknownStatus, n.Event.Kind)
	}
	for _, ref := range slices.Concat(n.Event.Keys, n.Event.Refs) {
		if ref == "" {
			t.Errorf("Decode(%q): an empty provider ref", body)
		}
	}
}

// textFaults says which texts of a notice cannot be kept. The provider's own
// words must be fit for an operator's eyes as well.
func textFaults(n provider.Notice) []string {
	var faults []string
	for _, text := range texts(n) {
		if !storable(text) {
			faults = append(faults, fmt.Sprintf("%q cannot be stored as text", text))
		}
	}
	for _, words := range []string{n.ProviderStatus, n.UnknownStatus} {
		if utf8.RuneCountInString(words) > maxWords || strings.ContainsFunc(words, func(r rune) bool { return !unicode.IsPrint(r) }) {
			faults = append(faults, fmt.Sprintf("the status %q is not printable or longer than %d runes", words, maxWords))
		}
	}
	return faults
}

func texts(n provider.Notice) []string {
	all := []string{n.DedupeKey, n.ProviderEvent, n.ProviderStatus, n.UnknownStatus, n.Event.VerificationID, n.Event.Product}
	all = append(all, n.UnknownFields...)
	all = append(all, n.Event.ReasonCodes...)
	all = append(all, n.Event.Keys...)
	return append(all, n.Event.Refs...)
}

// storable reports whether Postgres takes the text: valid UTF-8 and no NUL.
func storable(text string) bool {
	return strings.ToValidUTF8(text, "") == text && !strings.ContainsRune(text, 0)
}
