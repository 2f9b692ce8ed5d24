package integrate_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var quoted = regexp.MustCompile("(?s)<!-- from ([^ ]+) -->\n```[a-z]+\n(.*?)\n```")

// Kotlin, Go and TypeScript are shown as they are compiled; Swift is marked.
func TestTheCodeOfThePagesIsThatOfTheFilesThatAreTested(t *testing.T) {
	t.Parallel()
	blocks := 0
	for name, text := range pages(t) {
		for _, found := range quoted.FindAllStringSubmatch(text, -1) {
			blocks++
			source, err := os.ReadFile("../../" + found[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if !strings.Contains(string(source), found[2]+"\n") {
				t.Errorf("%s: the block from %s is not in it:\n%s", name, found[1], found[2])
			}
		}
		rest := quoted.ReplaceAllString(text, "")
		for _, language := range []string{"go", "ts", "tsx", "kotlin"} {
			if strings.Contains(rest, "\n```"+language+"\n") {
				t.Errorf("%s: a block of %s does not say which file it is from", name, language)
			}
		}
		if at := strings.Index(rest, "\n```swift\n"); at >= 0 && !strings.HasSuffix(rest[:at], "**Our tests do not compile this one.**\n") {
			t.Errorf("%s: the Swift does not say that nothing compiles it", name)
		}
	}
	if blocks < 12 {
		t.Errorf("found %d blocks", blocks)
	}
}

func TestTheFilesThatThePagesShowCanBeRead(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for name, text := range pages(t) {
		for _, found := range fence.FindAllStringSubmatch(text, -1) {
			count[found[1]]++
			switch found[1] {
			case "json":
				var value any
				if err := json.Unmarshal([]byte(found[2]), &value); err != nil {
					t.Errorf("%s: %v:\n%s", name, err, found[2])
				}
			case "xml":
				// Its namespace is declared by the manifest around it.
				if err := readXML(found[2]); err != nil {
					t.Errorf("%s: %v:\n%s", name, err, found[2])
				}
			}
		}
	}
	if count["json"] != 2 || count["xml"] != 1 {
		t.Errorf("found %v", count)
	}
}

func readXML(text string) error {
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// The association files, in the form that the platforms' own documents give:
// https://developer.apple.com/documentation/xcode/supporting-associated-domains
// and https://developer.android.com/training/app-links/configure-assetlinks.
func TestTheAssociationFilesNameTheAppAndThePath(t *testing.T) {
	t.Parallel()
	all := pages(t)
	var apple struct {
		Applinks struct {
			Details []struct {
				AppIDs     []string            `json:"appIDs"`
				Components []map[string]string `json:"components"`
			} `json:"details"`
		} `json:"applinks"`
		Webcredentials struct {
			Apps []string `json:"apps"`
		} `json:"webcredentials"`
	}
	readBlock(t, all["ios.md"], "json", &apple)
	if len(apple.Applinks.Details) != 1 || apple.Applinks.Details[0].Components[0]["/"] != "/verify-complete" ||
		apple.Webcredentials.Apps[0] != apple.Applinks.Details[0].AppIDs[0] {
		t.Errorf("the association file is %+v", apple)
	}
	var android []struct {
		Relation []string `json:"relation"`
		Target   struct {
			Namespace    string   `json:"namespace"`
			PackageName  string   `json:"package_name"`
			Fingerprints []string `json:"sha256_cert_fingerprints"`
		} `json:"target"`
	}
	readBlock(t, all["android.md"], "json", &android)
	fingerprint := regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`)
	if len(android) != 1 || android[0].Relation[0] != "delegate_permission/common.handle_all_urls" ||
		android[0].Target.Namespace != "android_app" || !fingerprint.MatchString(android[0].Target.Fingerprints[0]) {
		t.Errorf("assetlinks.json is %+v", android)
	}
	if !strings.Contains(all["android.md"], `android:path="/verify-complete"`) || !strings.Contains(all["android.md"], `android:autoVerify="true"`) {
		t.Error("the manifest does not take the link")
	}
}

// readBlock reads the first block of a language. What it reads is all that is
// there, letter for letter: Go forgives names in another case, phones do not.
func readBlock(t *testing.T, text, language string, into any) {
	t.Helper()
	for _, found := range fence.FindAllStringSubmatch(text, -1) {
		if found[1] != language {
			continue
		}
		if err := json.Unmarshal([]byte(found[2]), into); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(into)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := generic(t, again), generic(t, []byte(found[2])); !reflect.DeepEqual(got, want) {
			t.Errorf("of the block\n%s\nonly this is understood:\n%s", found[2], again)
		}
		return
	}
	t.Fatalf("there is no block of %s", language)
}

func generic(t *testing.T, text []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
