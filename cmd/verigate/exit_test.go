package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	verigatev1 "github.com/verigate/verigate/gen/go/verigate/v1"
)

func TestEachCodeOfTheServerHasItsExitCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[connect.Code]int{
		connect.CodeCanceled: 130, connect.CodeUnknown: 70, connect.CodeInvalidArgument: 2, connect.CodeDeadlineExceeded: 3,
		connect.CodeNotFound: 4, connect.CodeAlreadyExists: 6, connect.CodePermissionDenied: 5, connect.CodeResourceExhausted: 3,
		connect.CodeFailedPrecondition: 6, connect.CodeAborted: 3, connect.CodeOutOfRange: 2, connect.CodeUnimplemented: 70,
		connect.CodeInternal: 70, connect.CodeUnavailable: 3, connect.CodeDataLoss: 70, connect.CodeUnauthenticated: 5,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.service.get = func(*verigatev1.GetVerificationRequest) (*verigatev1.Verification, error) {
				return nil, connect.NewError(code, "as the script says")
			}
			b.want(want, b.run("get", testID), "", code.String()+": as the script says")
			if lines := strings.Count(strings.TrimSpace(b.err.String()), "\n"); lines > 1 {
				t.Errorf("more than two lines: %s", b.err.String())
			}
		})
	}
}

func TestOtherErrorsHaveAnExitCodeToo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing wrong is 0", nil, exitPass},
		{"an interruption is 130", fmt.Errorf("wait: %w", context.Canceled), exitInterrupted},
		{"a wrapped usage error is 2", fmt.Errorf("dev: %w", usageError("--listen: write host:port")), exitUsage},
		{"an unknown command is 2", errors.New(`unknown command "x" for "verigate"`), exitUsage},
		{"a gateway command that failed is 1", errors.New("the port is taken"), exitFail},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := exitCode(c.err); got != c.want {
				t.Errorf("exit %d, want %d", got, c.want)
			}
			if text := explain(c.err); (text == "") != (c.err == nil) {
				t.Errorf("explain says %q", text)
			}
		})
	}
}

func TestEveryExitCodeIsInTheHelp(t *testing.T) {
	t.Parallel()
	for _, code := range []int{
		exitPass, exitFail, exitUsage, exitUnreachable, exitNotFound, exitUnauthenticated,
		exitRefused, exitTimedOut, exitInternal, exitInterrupted,
	} {
		if !strings.Contains(exitHelp, fmt.Sprintf("\n%5d  ", code)) {
			t.Errorf("%d is not documented", code)
		}
	}
}

func TestNoServerSaysHowToStartOne(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.want(exitUnreachable, b.run("watch", testID, "--url", address), "", "Is it running? Start `verigate dev`")
	if strings.Count(strings.TrimSpace(b.err.String()), "\n") != 1 || !strings.Contains(b.err.String(), "connection refused") {
		t.Errorf("err: %s", b.err.String())
	}
}

func TestBrokenFieldRulesAreListed(t *testing.T) {
	t.Parallel()
	element := &validate.FieldPathElement{FieldName: proto.String("page_title")}
	for name, detail := range map[string]proto.Message{
		"from the rules of the contract": &validate.Violations{Violations: []*validate.Violation{{
			Field: &validate.FieldPath{Elements: []*validate.FieldPathElement{element}}, Message: proto.String("is too long"),
		}}},
		"from the domain": &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "page_title", Description: "is too long"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			packed, err := connectproto.NewErrorDetail(detail)
			if err != nil {
				t.Fatal(err)
			}
			refused := connect.NewError(connect.CodeInvalidArgument, "the request is wrong").WithDetail(packed)
			if got := explain(refused); got != "invalid_argument: the request is wrong\npage_title: is too long" {
				t.Errorf("explain says %q", got)
			}
			named := connect.NewError(connect.CodeInvalidArgument, "page_title: is too long").WithDetail(packed)
			if got := explain(named); got != "invalid_argument: page_title: is too long" {
				t.Errorf("explain says it twice: %q", got)
			}
		})
	}
}

func TestAnErrorCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	got := explain(connect.NewError(connect.CodeInternal, "a\x1b[2Jb\nc"))
	if strings.ContainsRune(got, '\x1b') || strings.Count(got, "\n") != 1 {
		t.Errorf("explain says %q", got)
	}
}

func TestAWrongCommandLineIsToldBeforeAnyCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{"start --subject u1", "--flow and --subject"},
		{"start --flow identity", "--flow and --subject"},
		{"start --flow identity --subject u1 --metadata novalue", "--metadata (number 1)"},
		{"start --flow identity --subject u1 --metadata a=1 --metadata a=2", "--metadata (number 2)"},
		{"start --flow identity --subject u1 --expires-in soon", "--expires-in"},
		{"start --flow identity --subject u1 --timeout 1m", "--timeout"},
		{"start identity", "flags only"},
		{"get", "verigate get --reference"},
		{"get a --reference b", "name one verification"},
		{"get a --after-version 2", "--after-version"},
		{"list --state happy", "created, pending, processing, in_review, approved"},
		{"list --since yesterday", "--since"},
		{"list --until -1h", "--until"},
		{"list --since 1h --page-token t", "RFC 3339"},
		{"cancel", "give one verification's id"},
		{"watch", "give one verification's id"},
		{"watch a --timeout -1s", "--timeout"},
		{"watch a --after-version -1", "--after-version"},
		{"watch a --no-such-flag", "unknown flag: --no-such-flag"},
		{"sandbox complete a", "--outcome"},
		{"sandbox complete a --outcome maybe", "pass, fail, deny, review, abandon"},
		{"sandbox complete a --outcome pass --fault =1", "fault number 1"},
		{"sandbox case", "give one verification's id"},
		{"sandbox case a", "--result: must be one of approved, declined, review"},
		{"sandbox case a --result pass", "--result: must be one of approved, declined, review"},
		{"sandbox complete a --outcome pass --fault drop --fault drop", "fault number 2"},
	} {
		t.Run(c.line, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.want(exitUsage, b.run(strings.Fields(c.line)...), "", c.want)
			if len(b.service.credentials) != 0 {
				t.Error("the server was called")
			}
		})
	}
}
