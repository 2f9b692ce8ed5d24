package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"github.com/spf13/pflag"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// The exit codes of the command. A script may rely on them.
const (
	exitPass            = 0
	exitFail            = 1
	exitUsage           = 2
	exitUnreachable     = 3
	exitNotFound        = 4
	exitUnauthenticated = 5
	exitRefused         = 6
	exitTimedOut        = 7
	exitInternal        = 70
	exitInterrupted     = 130
)

// exitHelp is the table of exit codes for --help.
const exitHelp = `Exit codes:
    0  done; for watch: the result is pass
    1  the result is fail: declined, expired, canceled or failed; for commands
       that run or maintain a gateway: it failed
    2  a wrong flag, argument or field
    3  the server cannot be reached, or asks to try again later
    4  not found, or not this key's
    5  the credential is missing or not accepted
    6  refused in this state; trying again does not help
    7  --timeout passed while the verification was still pending
   70  something broke; the server's log says what
  130  interrupted`

// codeExits is the exit code of each Connect code. Those that are absent are
// exitInternal.
func codeExits() map[connect.Code]int {
	return map[connect.Code]int{
		connect.CodeCanceled:           exitInterrupted,
		connect.CodeInvalidArgument:    exitUsage,
		connect.CodeOutOfRange:         exitUsage,
		connect.CodeDeadlineExceeded:   exitUnreachable,
		connect.CodeUnavailable:        exitUnreachable,
		connect.CodeResourceExhausted:  exitUnreachable,
		connect.CodeAborted:            exitUnreachable,
		connect.CodeNotFound:           exitNotFound,
		connect.CodeUnauthenticated:    exitUnauthenticated,
		connect.CodePermissionDenied:   exitUnauthenticated,
		connect.CodeAlreadyExists:      exitRefused,
		connect.CodeFailedPrecondition: exitRefused,
	}
}

// exitError is an error that knows its exit code. Its text is for the person at
// the keyboard and never holds a credential.
type exitError struct {
	code int
	text string
}

// Error returns the text.
func (e *exitError) Error() string { return e.text }

// exitWith makes an error with an exit code.
func exitWith(code int, format string, args ...any) error {
	return &exitError{code: code, text: fmt.Sprintf(format, args...)}
}

// usageError makes an error about the command line.
func usageError(format string, args ...any) error { return exitWith(exitUsage, format, args...) }

// misused tells that cobra or its flags refused the command line. For arguments
// cobra has no error types, only texts.
func misused(err error) bool {
	if _, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		return true
	}
	text := err.Error()
	return strings.HasPrefix(text, "unknown command ") || strings.HasPrefix(text, "accepts ")
}

// exitCode turns a command's error into the exit code of the process. An error
// that says nothing about its code comes from a command that runs or maintains
// a gateway, and means that it failed.
func exitCode(err error) int {
	if err == nil {
		return exitPass
	}
	if known, ok := errors.AsType[*exitError](err); ok {
		return known.code
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if answer, ok := errors.AsType[*connect.Error](err); ok {
		if code, listed := codeExits()[answer.Code()]; listed {
			return code
		}
		return exitInternal
	}
	if misused(err) {
		return exitUsage
	}
	return exitFail
}

// explain says in one or two lines what is wrong and what to do; empty for nil.
func explain(err error) string {
	if err == nil {
		return ""
	}
	if known, ok := errors.AsType[*exitError](err); ok {
		return printableLines(known.text)
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	answer, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return printableLines(err.Error())
	}
	if unconnected(answer) {
		return "cannot reach the server: " + printable(answer.Message()) + "\nIs it running? Start `verigate dev`, or name another server with --url."
	}
	text := answer.Code().String()
	if answer.Message() != "" {
		// Several broken rules come as one line each.
		text += ": " + printable(strings.ReplaceAll(strings.ReplaceAll(answer.Message(), ":\n - ", ": "), "\n - ", "; "))
	}
	if fields := violations(answer); len(fields) > 0 && !mentioned(answer.Message(), fields) {
		text += "\n" + strings.Join(fields, "; ")
	}
	advice := remedy(answer.Code())
	if _, ok := errors.AsType[*operatorError](err); ok {
		advice = operatorRemedy(answer.Code())
	}
	if untrusted(err) {
		advice = "Name the file with its authority's certificate in SSL_CERT_FILE."
	}
	if advice != "" {
		text += "\n" + advice
	}
	return text
}

// untrusted tells that the server's certificate is not by a known authority.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// unconnected tells that no server answered at all.
func unconnected(err *connect.Error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}

// remedy is what to do about a code, where the message seldom says it.
func remedy(code connect.Code) string {
	switch code {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return "Check --api-key, VERIGATE_API_KEY or " + devEnvPath + ", and the key's scopes. `" + makeKey + " --name backend` makes a key;" +
			" a client token may only get and watch its own verification."
	case connect.CodeNotFound:
		return "Check the name or id, and that the key belongs to the same project and environment."
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodeAborted:
		return "Try again in a moment."
	case connect.CodeUnimplemented:
		return "The server at --url does not know this call: it is another listener of the gateway, older than this command, or not Verigate."
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeDataLoss:
		return "The server's log says more."
	case connect.CodeCanceled, connect.CodeInvalidArgument, connect.CodeAlreadyExists,
		connect.CodeFailedPrecondition, connect.CodeOutOfRange:
		return ""
	default:
		return ""
	}
}

// makeKey is how a first key is made, on the database itself.
const makeKey = "verigate keys create --config verigate.yaml --project acme --environment live"

// operatorError is the error of an operator's command, for which some codes
// have another remedy.
type operatorError struct{ answer error }

// Error returns the text of what was answered.
func (e *operatorError) Error() string { return e.answer.Error() }

// Unwrap returns what was answered.
func (e *operatorError) Unwrap() error { return e.answer }

// operatorRemedy is remedy for operatorError.
func operatorRemedy(code connect.Code) string {
	switch code {
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return "An operator's command needs a key of the scope operator in --api-key, VERIGATE_API_KEY or " + devEnvPath +
			". `" + makeKey + " --name on-call --scope operator` makes one."
	case connect.CodeUnimplemented:
		return "OperatorService is on the operator listener; name it with --url."
	default:
		return remedy(code)
	}
}

// violations lists the broken field rules that an error's details name.
func violations(err *connect.Error) []string {
	var fields []string
	for _, detail := range err.Details() {
		message, decodeErr := connectproto.UnmarshalErrorDetail(detail)
		if decodeErr != nil {
			continue // a newer server's detail; the message remains
		}
		switch known := message.(type) {
		case *validate.Violations:
			for _, v := range known.GetViolations() {
				fields = append(fields, fieldText(protovalidate.FieldPathString(v.GetField()), v.GetMessage()))
			}
		case *errdetails.BadRequest:
			for _, v := range known.GetFieldViolations() {
				fields = append(fields, fieldText(v.GetField(), v.GetDescription()))
			}
		}
	}
	return fields
}

func fieldText(field, message string) string {
	if field == "" {
		return printable(message)
	}
	return printable(field + ": " + message)
}

// mentioned tells that the message names every broken rule by itself.
func mentioned(message string, fields []string) bool {
	for _, field := range fields {
		if !strings.Contains(printable(message), field) && !strings.Contains(field, printable(message)) {
			return false
		}
	}
	return message != ""
}
