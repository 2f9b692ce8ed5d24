package transport_test

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// sendHTTP1 makes a request over a connection of its own and returns the status,
// or "cut" if there was none. Go's own client would not send what a hostile one
// does.
func sendHTTP1(t *testing.T, address string, headers []string) string {
	t.Helper()
	conn := dial(t, address)
	var request bytes.Buffer
	request.WriteString("GET / HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n")
	for _, header := range headers {
		request.WriteString(header + "\r\n")
	}
	request.WriteString("\r\n")
	sendAside(t, conn, request.Bytes())
	line, err := bufio.NewReader(conn).ReadString('\n')
	words := strings.Fields(line)
	if len(words) < 2 {
		return withoutAnswer(err)
	}
	return words[1]
}

// withoutAnswer tells a connection that the server closed from one that it left
// hanging.
func withoutAnswer(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "none"
	}
	return "cut"
}

// sendAside writes while the test reads: a server that refuses stops reading.
func sendAside(t *testing.T, conn net.Conn, content []byte) {
	t.Helper()
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = conn.Write(content) })
	t.Cleanup(func() { _ = conn.Close(); writing.Wait() })
}

// sendHTTP2 is sendHTTP1 in frames, without regard for the server's advertised
// limit.
func sendHTTP2(t *testing.T, address string, headers []string) string {
	t.Helper()
	conn := dial(t, address)
	var request bytes.Buffer
	request.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&request, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	must(t, framer.WriteSettings())
	writeHeaders(t, framer, headers)
	sendAside(t, conn, request.Bytes())
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return withoutAnswer(err)
		}
		if answer, ok := frame.(*http2.MetaHeadersFrame); ok {
			return answer.PseudoValue("status")
		}
	}
}

// writeHeaders writes one request on stream 1, in as many frames as it takes.
func writeHeaders(t *testing.T, framer *http2.Framer, headers []string) {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, header := range append([]string{":method: GET", ":scheme: http", ":authority: gateway.test", ":path: /"}, headers...) {
		cut := strings.LastIndex(header, ": ")
		must(t, encoder.WriteField(hpack.HeaderField{Name: header[:cut], Value: header[cut+2:]}))
	}
	const frameSize = 16 << 10 // the largest that needs no agreement
	first := block.Next(frameSize)
	must(t, framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: first, EndStream: true, EndHeaders: block.Len() == 0,
	}))
	for block.Len() > 0 {
		next := block.Next(frameSize)
		must(t, framer.WriteContinuation(1, block.Len() == 0, next))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
