package park

import (
	"bufio"
	"net/http"
	"reflect"
	"unsafe"
)

// slimBuffer is what a parked stream keeps of a buffer. What is longer is written
// past it.
const slimBuffer = 16

// slim takes from an HTTP/2 response what it does not need while its stream is
// parked, and returns what brings back the rest. net/http has no setting for
// either:
//
//   - It gives each response a buffer of 4 KB (handlerChunkWriteSize in
//     h2_bundle.go) until the handler returns: more than everything else that a
//     parked stream costs. With the buffer empty nothing is lost, and messages are
//     not gathered anyway: each is flushed.
//   - It keeps the headers twice, as the handler set them and as they were sent,
//     1.5 KB, and looks at neither again. Trailers go into a new map.
//
// This reaches into net/http, by the names of its fields. Where they are not what
// they were, nothing is done, and a stream costs more: a test says so. Nobody may
// write meanwhile.
func slim(w http.ResponseWriter) (restore func()) {
	for _, headers := range sentHeaders(w) {
		*headers = nil
	}
	buffer := responseBuffer(w)
	if buffer == nil {
		return func() {}
	}
	size := len(*buffer)
	*buffer = make([]byte, slimBuffer)
	// Afterwards net/http hands the buffer to another request.
	return func() {
		whole := make([]byte, size)
		copy(whole, *buffer)
		*buffer = whole
	}
}

// sentHeaders finds the headers of an HTTP/2 response that have left; none if it
// is no such response.
func sentHeaders(w http.ResponseWriter) []*http.Header {
	state := field(reflect.ValueOf(w), "rws")
	if sent := field(state, "sentHeader"); sent.Kind() != reflect.Bool || !sent.Bool() {
		return nil
	}
	var all []*http.Header
	for _, name := range []string{"handlerHeader", "snapHeader"} {
		if headers := field(state, name); headers.IsValid() && headers.Type() == reflect.TypeFor[http.Header]() {
			all = append(all, (*http.Header)(unsafe.Pointer(headers.UnsafeAddr())))
		}
	}
	return all
}

// responseBuffer finds the buffer of an HTTP/2 response that has been flushed; nil
// if there is none.
func responseBuffer(w http.ResponseWriter) *[]byte {
	state := field(reflect.ValueOf(w), "rws")
	buffered := field(state, "bw")
	if !buffered.IsValid() || buffered.Type() != reflect.TypeFor[*bufio.Writer]() || buffered.IsNil() {
		return nil
	}
	if writer := (*bufio.Writer)(buffered.UnsafePointer()); writer.Buffered() != 0 || writer.Size() <= slimBuffer {
		return nil
	}
	bytes := field(buffered, "buf")
	if !bytes.IsValid() || bytes.Type() != reflect.TypeFor[[]byte]() {
		return nil
	}
	return (*[]byte)(unsafe.Pointer(bytes.UnsafeAddr()))
}

// field returns a field of the struct that v points to; the zero Value if there
// is no such thing.
func field(v reflect.Value, name string) reflect.Value {
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.Elem().FieldByName(name)
}
