package edge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verigate/verigate/server/provider"
	"github.com/verigate/verigate/server/provider/edge"
	"github.com/verigate/verigate/server/secret"
)

func TestProblemsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var problems edge.Problems
	problems.Report("b", "is wrong")
	problems.Report("fine", "")
	problems.Report("a", "is missing")
	want := []provider.Problem{{Field: "b", Message: "is wrong"}, {Field: "a", Message: "is missing"}}
	if !slices.Equal(problems, want) {
		t.Errorf("got %v, want %v", problems, want)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for timeout, allowed := range map[time.Duration]bool{
		-time.Second: false, 0: false, 1: true, 10 * time.Second: true, 60 * time.Second: true, 60*time.Second + 1: false,
	} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			if problem := edge.TimeoutProblem(timeout); (problem == "") != allowed {
				t.Errorf("got %q, want allowed %t", problem, allowed)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for key, allowed := range map[string]bool{
		"": true, "vhsk-test_key.1": true, "!~": true,
		"two words": false, "a\nb": false, "a\r": false, "a\tb": false, "é": false, "\x7f": false, "a\x00": false, "a\xff": false,
	} {
		t.Run(fmt.Sprintf("the key %q", key), func(t *testing.T) {
			t.Parallel()
			problem := edge.KeyProblem(secret.New(key))
			if (problem == "") != allowed {
				t.Errorf("got %q, want allowed %t", problem, allowed)
			}
			if strings.Contains(problem, "two words") {
				t.Errorf("the problem repeats the key: %s", problem)
			}
		})
	}
}

func TestBaseURLs(t *testing.T) {
	t.Parallel()
	for base, allowed := range map[string]struct{ development, production bool }{
		"https://api.example":             {true, true},
		"https://api.example/":            {true, true},
		"https://api.example/api/v1":      {true, true},
		"https://proxy.example:8443/p":    {true, true},
		"HTTPS://api.example":             {true, true},
		"http://127.0.0.1:8080":           {true, false},
		"http://127.0.0.1:8080/api/v1":    {true, false},
		"http://127.9.9.9":                {true, false},
		"http://[::1]:8080":               {true, false},
		"http://[::1]:8080/sandbox":       {true, false},
		"http://localhost:8080":           {true, false},
		"http://api.example":              {false, false},
		"http://10.0.0.1":                 {false, false},
		"http://127.0.0.1.example.com":    {false, false},
		"http://localhost.example.com":    {false, false},
		"":                                {false, false},
		"/":                               {false, false},
		"api.example":                     {false, false},
		"//api.example":                   {false, false},
		"/hosted":                         {false, false},
		"https:///hosted":                 {false, false},
		"https://:443":                    {false, false},
		"https:api.example":               {false, false},
		"https://user:password@a.example": {false, false},
		"https://user@a.example":          {false, false},
		"https://a.example?key=password":  {false, false},
		"https://a.example?":              {false, false},
		"https://a.example#":              {false, false},
		"ftp://a.example":                 {false, false},
		"https://a.example/\x00password":  {false, false},
	} {
		t.Run("base_url "+base, func(t *testing.T) {
			t.Parallel()
			for development, want := range map[bool]bool{true: allowed.development, false: allowed.production} {
				problem := edge.BaseURLProblem(base, "for example https://x.example", development)
				if got := problem == ""; got != want {
					t.Errorf("development %t: got %q, want allowed %t", development, problem, want)
				}
				if strings.Contains(problem, "password") {
					t.Errorf("the problem repeats the URL: %s", problem)
				}
			}
		})
	}
	for base, want := range map[string]string{
		"api.example":              "must be an absolute URL, for example https://x.example",
		"https://user@api.example": "must have no user info, query or fragment; keys have settings of their own",
		"http://api.example":       "must start with https:// (http:// is for a loopback address only)",
	} {
		t.Run("the remedy for "+base, func(t *testing.T) {
			t.Parallel()
			if got := edge.BaseURLProblem(base, "for example https://x.example", true); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
