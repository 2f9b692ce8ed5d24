package fault

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// code is what the protocols make of one error code.
type code struct {
	// http is the status of a unary call (Connect protocol, "Error Codes").
	http int
	// grpc is its number in gRPC.
	grpc int
}

// statusClientGone is what the Connect protocol answers a canceled call with.
const statusClientGone = 499

func codes() map[string]code {
	return map[string]code{
		"canceled":            {statusClientGone, 1},
		"unknown":             {http.StatusInternalServerError, 2},
		"invalid_argument":    {http.StatusBadRequest, 3},
		"deadline_exceeded":   {http.StatusGatewayTimeout, 4},
		"not_found":           {http.StatusNotFound, 5},
		"already_exists":      {http.StatusConflict, 6},
		"permission_denied":   {http.StatusForbidden, 7},
		"resource_exhausted":  {http.StatusTooManyRequests, 8},
		"failed_precondition": {http.StatusBadRequest, 9},
		"aborted":             {http.StatusConflict, 10},
		"out_of_range":        {http.StatusBadRequest, 11},
		"unimplemented":       {http.StatusNotImplemented, 12},
		"internal":            {http.StatusInternalServerError, 13},
		"unavailable":         {http.StatusServiceUnavailable, 14},
		"data_loss":           {http.StatusInternalServerError, 15},
		"unauthenticated":     {http.StatusUnauthorized, 16},
	}
}

func isCode(name string) bool {
	_, ok := codes()[name]
	return ok
}

// connectError is an error as the Connect protocol writes it.
type connectError struct {
	Code    string          `json:"code"`
	Message string          `json:"message,omitempty"`
	Details []connectDetail `json:"details,omitempty"`
}

type connectDetail struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// writeStatus answers as an intermediary does that knows nothing of the call.
func (r Rule) writeStatus(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.askToWait(w)
	w.WriteHeader(r.Status)
	_, err := fmt.Fprint(w, r.Body)
	return err
}

// writeError answers as the gateway does that refuses the call.
func (r Rule) writeError(w http.ResponseWriter, q *http.Request) error {
	r.askToWait(w)
	if origin := q.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After, Grpc-Status, Grpc-Message")
	}
	failure, err := r.connectError()
	if err != nil {
		return err
	}
	contentType := q.Header.Get("Content-Type")
	switch framingOf(contentType) {
	case connectFraming:
		return writeJSONAs(w, contentType, http.StatusOK, func(text []byte) []byte {
			return envelope(flagConnectEnd, text)
		}, map[string]connectError{"error": failure})
	case grpcFraming, webFraming:
		// Without a message the status may stand in the header ("Trailers-Only").
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Grpc-Status", strconv.Itoa(codes()[r.Code].grpc))
		w.Header().Set("Grpc-Message", r.Message)
		w.WriteHeader(http.StatusOK)
		return nil
	case unframed:
	}
	return writeJSONAs(w, "application/json", codes()[r.Code].http, func(text []byte) []byte { return text }, failure)
}

func writeJSONAs(w http.ResponseWriter, contentType string, status int, frame func([]byte) []byte, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("write the error: %w", err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, err = w.Write(frame(text))
	return err
}

func (r Rule) askToWait(w http.ResponseWriter) {
	if r.RetryAfter != "" {
		w.Header().Set("Retry-After", r.RetryAfter)
	}
}

func (r Rule) connectError() (connectError, error) {
	failure := connectError{Code: r.Code, Message: r.Message}
	if r.RetryAfter == "" {
		return failure, nil
	}
	seconds, err := strconv.ParseInt(r.RetryAfter, 10, 32)
	if err != nil {
		return failure, fmt.Errorf("retry_after: %w", err)
	}
	info := &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(seconds) * time.Second)}
	value, err := proto.Marshal(info)
	if err != nil {
		return failure, fmt.Errorf("write the detail: %w", err)
	}
	failure.Details = []connectDetail{{
		Type: string(info.ProtoReflect().Descriptor().FullName()), Value: base64.RawStdEncoding.EncodeToString(value),
	}}
	return failure, nil
}
