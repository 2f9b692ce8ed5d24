package enduser_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/verigate/verigate/server/access/enduser"
)

// roundTrip answers without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FuzzAccessToken: what verifies is what was signed. There is no second text
// for the same token, and whatever is not one is refused without a panic.
func FuzzAccessToken(f *testing.F) {
	const name = "https://login.shop.example"
	// The same key in every process of the fuzzer.
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	s := signer{kid: "k", method: jwt.SigningMethodEdDSA, private: private}
	body, err := json.Marshal(map[string]any{"keys": []jwk{s.published(f)}})
	if err != nil {
		f.Fatal(err)
	}
	config := configOf(name)
	config.JWKSURL = name + "/keys"
	clock := newClock()
	v, err := enduser.New([]enduser.Config{config}, enduser.Deps{
		HTTP: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}, nil
		})},
		Log: slog.New(slog.DiscardHandler), Now: clock.read,
	})
	if err != nil {
		f.Fatal(err)
	}
	good := goodDraft(name, clock.read()).sign(f, s)
	if _, err := v.Verify(f.Context(), good); err != nil {
		f.Fatalf("the good one is refused, so nothing is proved: %v", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	parts := strings.Split(good, ".")
	f.Add(good)
	f.Add(strings.ToLower(good))
	f.Add(good + ".")
	f.Add("e30.e30.e30")
	f.Add(encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".")
	f.Add(encode([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + parts[1] + "." + parts[2])
	f.Add(encode([]byte(`{"alg":"EdDSA","kid":"k","kid":"j"}`)) + "." + encode([]byte(`{"iss":"`+name+`"}`)) + "." + parts[2])
	f.Add(parts[0] + "." + encode([]byte(`{"iss":"`+name+`","exp":1e999,"aud":[[]]}`)) + "." + parts[2])
	f.Fuzz(func(t *testing.T, text string) {
		user, err := v.Verify(t.Context(), text)
		switch {
		case err == nil && text != good:
			t.Errorf("%q was accepted as %+v", text, user)
		case err != nil && (!errors.Is(err, enduser.ErrRefused) || user != enduser.User{}):
			t.Errorf("%q: got %v (%+v), want a refusal", text, err, user)
		case err == nil && !v.Knows(text):
			t.Error("a good token is not known")
		}
	})
}
