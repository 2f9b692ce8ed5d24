package issuer

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxBody is the largest form that is read, in bytes.
	maxBody = 16 << 10
	// maxText is the longest subject or audience, in characters.
	maxText = 256
	// defaultLifetime and maxLifetime are in seconds.
	defaultLifetime = 3600
	maxLifetime     = 86400
	// idBytes is the length of a token id, before encoding.
	idBytes  = 16
	formType = "application/x-www-form-urlencoded"
)

// order is what a request asks for.
type order struct {
	subject  string
	audience string
	// lifetime is in seconds.
	lifetime int
}

// granted is a successful answer (RFC 6749, section 5.1).
type granted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"`
}

// denied is an error answer (RFC 6749, section 5.2).
type denied struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	// As RFC 6749, section 5.1, asks of every answer with a token.
	w.Header().Set("Cache-Control", "no-store")
	form, err := readForm(w, r)
	if err != nil {
		write(w, http.StatusBadRequest, denied{Error: "invalid_request", Description: err.Error()})
		return
	}
	o, err := i.read(form)
	if err != nil {
		write(w, http.StatusBadRequest, denied{Error: "invalid_request", Description: err.Error()})
		return
	}
	text, err := i.sign(o)
	if err != nil {
		write(w, http.StatusInternalServerError, denied{Error: "server_error", Description: "the token could not be signed"})
		return
	}
	write(w, http.StatusOK, granted{AccessToken: text, TokenType: "Bearer", ExpiresIn: o.lifetime})
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != formType {
		return nil, fmt.Errorf("Content-Type: must be %s, as curl --data-urlencode sends it", formType)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, fmt.Errorf("body: must be at most %d bytes", maxBody)
	}
	if err != nil {
		return nil, errors.New("body: could not be read to its end")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("body: is not a form of type %s", formType)
	}
	return form, nil
}

// read takes an order from a form. Its error names every field that is wrong.
func (i *Issuer) read(form url.Values) (order, error) {
	o := order{audience: i.options.Audience, lifetime: defaultLifetime}
	var problems []string
	add := func(name, problem string) {
		if problem != "" {
			problems = append(problems, name+": "+problem)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if len(form[name]) > 1 {
			add(name, "must be given once")
		}
		value := form.Get(name)
		switch name {
		case "subject":
			o.subject = value
		case "audience":
			o.audience = value
			add(name, check(value))
		case "expires_in":
			seconds, err := strconv.Atoi(value)
			if err != nil || seconds < 1 || seconds > maxLifetime {
				add(name, fmt.Sprintf("must be a number of seconds from 1 to %d", maxLifetime))
			}
			o.lifetime = seconds
		default:
			add(strconv.Quote(name), "is no field; known are subject, audience and expires_in")
		}
	}
	add("subject", check(o.subject))
	if len(problems) > 0 {
		return order{}, errors.New(strings.Join(problems, "; "))
	}
	return o, nil
}

// check says what is wrong with a subject or an audience.
func check(text string) string {
	switch {
	case text == "":
		return "is required"
	case utf8.RuneCountInString(text) > maxText:
		return fmt.Sprintf("must be at most %d characters", maxText)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "must be UTF-8 without control characters"
	}
	return ""
}

// sign makes the token: an access token in JWT form (RFC 9068).
func (i *Issuer) sign(o order) (string, error) {
	id := make([]byte, idBytes)
	if _, err := io.ReadFull(i.options.Random, id); err != nil {
		return "", fmt.Errorf("draw a token id: %w", err)
	}
	now := i.options.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": i.options.BaseURL, "sub": o.subject, "aud": o.audience,
		"iat": now.Unix(), "exp": now.Add(time.Duration(o.lifetime) * time.Second).Unix(),
		"jti": base64.RawURLEncoding.EncodeToString(id),
	})
	token.Header["typ"] = "at+jwt"
	token.Header["kid"] = i.keyID
	return token.SignedString(i.key)
}
