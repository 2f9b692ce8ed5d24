package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

// protocol is one of the three that the gateway speaks, written by hand so that
// a test sees every byte of an answer.
type protocol struct {
	name          string
	http2         bool
	unary, stream string
}

func protocols() []protocol {
	return []protocol{
		{name: "Connect", unary: "application/proto", stream: "application/connect+proto"},
		{name: "gRPC", http2: true, unary: "application/grpc+proto", stream: "application/grpc+proto"},
		{name: "gRPC-Web", unary: "application/grpc-web+proto", stream: "application/grpc-web+proto"},
	}
}

// door is the gateway as one protocol shows it, with connections of its own.
type door struct {
	t *testing.T
	protocol

	url    string
	client *http.Client
}

func (g *gateway) door(p protocol) *door {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!p.http2)
	protocols.SetUnencryptedHTTP2(p.http2)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true}
	g.t.Cleanup(transport.CloseIdleConnections)
	return &door{t: g.t, protocol: p, url: g.url, client: &http.Client{Transport: transport}}
}

// knock makes a call and returns everything that the caller can see of the
// answer as one text, but the time and the request's own id.
func (d *door) knock(method protoreflect.MethodDescriptor, authorization string, message proto.Message) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	body, err := proto.Marshal(message)
	if err != nil {
		d.t.Fatal(err)
	}
	contentType := d.unary
	if method.IsStreamingServer() {
		contentType = d.stream
	}
	if contentType != "application/proto" {
		body = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+procedureOf(method), bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Te", "trailers")
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := d.client.Do(request)
	if err != nil {
		d.t.Fatalf("%s: %v", procedureOf(method), err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatalf("%s: %v", procedureOf(method), err)
	}
	return fmt.Sprintf("%d\n%s\n%q\n%s", response.StatusCode, listed(response.Header), text, listed(response.Trailer))
}

// listed writes headers down in order. Their names count all, their values all
// but those that differ from call to call.
func listed(header http.Header) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		values := header[name]
		if name == "Date" || name == "X-Request-Id" {
			values = []string{"*"}
		}
		fmt.Fprintf(&text, "%s: %q\n", name, values)
	}
	return text.String()
}

func procedureOf(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

// everyMethod is every call of every service of the contract.
func everyMethod() []protoreflect.MethodDescriptor {
	var methods []protoreflect.MethodDescriptor
	contract := verigatev1.File_verigate_v1_verification_service_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(contract, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				methods = append(methods, service.Methods().Get(j))
			}
		}
		return true
	})
	return methods
}

// saysUnauthenticated and saysNotFound recognise the codes of all protocols in
// the text of an answer: a word in Connect, numbers 16 and 5 in gRPC (gRPC
// documentation, status codes).
func saysUnauthenticated(reply string) bool {
	return saysCode(reply, "unauthenticated", "16")
}

func saysNotFound(reply string) bool { return saysCode(reply, "not_found", "5") }

func saysCode(reply, word, number string) bool {
	for _, form := range []string{
		`\"code\":\"` + word + `\"`, `Grpc-Status: ["` + number + `"]`, `grpc-status: ` + number + `\r\n`,
	} {
		if strings.Contains(reply, form) {
			return true
		}
	}
	return false
}
