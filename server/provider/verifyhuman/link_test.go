package verifyhuman_test

import (
	"slices"
	"strings"
	"testing"
)

const (
	ourID   = "0198c0de-0000-7000-8000-000000000001"
	otherID = "0198c0de-0000-7000-8000-000000000002"
)

func TestLinkKeys(t *testing.T) {
	t.Parallel()
	const bound = "verification:ver_1"
	for name, c := range map[string]struct {
		body       string
		id         string
		keys, refs []string
	}{
		"no link":                           {enveloped(), "", nil, []string{bound}},
		"token in data":                     {enveloped(`"token":"tok-demo-1"`), "", []string{tokenRef}, []string{bound}},
		"hosted_token in data":              {enveloped(`"hosted_token":"tok-demo-1"`), "", []string{tokenRef}, []string{bound}},
		"both token keys":                   {enveloped(`"hosted_token":"tok-demo-1"`, `"token":"tok-demo-1"`), "", []string{tokenRef}, []string{bound}},
		"token at the top level":            {flat(`"PASS"`, `"token":"tok-demo-1"`), "", []string{tokenRef}, []string{bound}},
		"token at an envelope's top level":  {strings.Replace(enveloped(), `"id"`, `"token":"tok-demo-1","id"`, 1), "", []string{tokenRef}, []string{bound}},
		"an empty token":                    {enveloped(`"token":""`), "", nil, []string{bound}},
		"a token that is a number":          {enveloped(`"token":1`), "", nil, []string{bound}},
		"session_id":                        {enveloped(`"session_id":"msess_1"`), "", nil, []string{"session:msess_1", bound}},
		"a session_id that cannot be kept":  {enveloped(`"session_id":"m\u0000"`), "", nil, []string{bound}},
		"session_ref":                       {enveloped(`"session_ref":"` + ourID + `"`), ourID, nil, []string{bound}},
		"external_id":                       {flat(`"PASS"`, `"external_id":"`+ourID+`"`), ourID, nil, []string{bound}},
		"client_reference_id":               {enveloped(`"client_reference_id":"` + ourID + `"`), ourID, nil, []string{bound}},
		"reference in upper case":           {enveloped(`"reference":"` + strings.ToUpper(ourID) + `"`), ourID, nil, []string{bound}},
		"metadata.verigate_id":              {enveloped(`"metadata":{"verigate_id":"` + ourID + `"}`), ourID, nil, []string{bound}},
		"metadata.reference, flat":          {flat(`"PASS"`, `"metadata":{"reference":"`+ourID+`"}`), ourID, nil, []string{bound}},
		"the same id twice":                 {enveloped(`"reference":"`+ourID+`"`, `"external_id":"`+ourID+`"`), ourID, nil, []string{bound}},
		"verigate_id outside of metadata":   {enveloped(`"verigate_id":"` + ourID + `"`), "", nil, []string{bound}},
		"a reference that is no id of ours": {enveloped(`"reference":"order-1"`), "", nil, []string{bound}},
		"a reference of 32 hex digits":      {enveloped(`"reference":"` + strings.ReplaceAll(ourID, "-", "") + `"`), "", nil, []string{bound}},
		"metadata that is no object":        {enveloped(`"metadata":"` + ourID + `"`), "", nil, []string{bound}},
		"metadata that is null":             {enveloped(`"metadata":null`), "", nil, []string{bound}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := decodeBody(t, c.body).Event
			if e.VerificationID != c.id || !slices.Equal(e.Keys, c.keys) || !slices.Equal(e.Refs, c.refs) {
				t.Errorf("got id %q, keys %v, refs %v", e.VerificationID, e.Keys, e.Refs)
			}
		})
	}
	for name, body := range map[string]string{
		"beside each other":         enveloped(`"reference":"`+ourID+`"`, `"external_id":"`+otherID+`"`),
		"in data and its metadata":  enveloped(`"reference":"`+ourID+`"`, `"metadata":{"verigate_id":"`+otherID+`"}`),
		"in data and the top level": strings.Replace(enveloped(`"reference":"`+ourID+`"`), `"id"`, `"reference":"`+otherID+`","id"`, 1),
	} {
		t.Run("two different ids "+name+" cannot be read", func(t *testing.T) {
			t.Parallel()
			if n, err := open(t).Decode(webhook(body)); err == nil || strings.Contains(err.Error(), ourID) {
				t.Errorf("Decode: got %+v, %v", n, err)
			}
		})
	}
}
