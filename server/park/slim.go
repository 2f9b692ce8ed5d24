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

// slim takes the buffer of an HTTP/2 response away for as long as the stream is
// parked, and returns what brings it back. net/http gives each response 4 KB
// (handlerChunkWriteSize in h2_bundle.go), has no setting for it, and keeps it
// until the handler returns: it is more than everything else that a parked stream
// costs. With the buffer empty nothing is lost, and messages are not gathered
// anyway: each is flushed.
//
// This reaches into net/http, by the names of three fields. Where they are not
// what they were, nothing is done, and a stream costs 4 KB more: a test says so.
// Nobody may write meanwhile.
func slim(w http.ResponseWriter) (restore func()) {
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
