package rpc

import (
	"context"
	"strings"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/verigate/verigate/server/verification"
)

// Storable is an interceptor that refuses what Postgres cannot keep or compare:
// texts with the character U+0000, and times outside the range of Timestamp.
// The field rules of the contract say nothing about either.
func Storable() connect.ServerInterceptor {
	return func(next connect.ServerFunc) connect.ServerFunc {
		return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
			return next(ctx, spec, &storableStream{stream})
		}
	}
}

type storableStream struct{ connect.ServerStream }

// Receive implements connect.ServerStream.
func (s *storableStream) Receive(msg any) error {
	if err := s.ServerStream.Receive(msg); err != nil {
		return err
	}
	if message, ok := msg.(proto.Message); ok {
		return toConnect(checkStorable(message))
	}
	return nil
}

func checkStorable(message proto.Message) error {
	var problem error
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		problem = checkField(field, value)
		return problem == nil
	})
	return problem
}

func checkField(field protoreflect.FieldDescriptor, value protoreflect.Value) error {
	switch {
	case field.IsMap():
		return checkMap(field, value.Map())
	case field.IsList():
		return nil
	case field.Kind() == protoreflect.StringKind:
		return checkText(field, value.String())
	case field.Kind() == protoreflect.MessageKind:
		if at, ok := value.Message().Interface().(*timestamppb.Timestamp); ok && !at.IsValid() {
			return verification.Invalid(string(field.Name()), "must be a time from year 1 to 9999")
		}
	}
	return nil
}

func checkMap(field protoreflect.FieldDescriptor, pairs protoreflect.Map) error {
	var problem error
	pairs.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		// Every map of the contract is from text to text.
		problem = checkText(field, key.String()+value.String())
		return problem == nil
	})
	return problem
}

func checkText(field protoreflect.FieldDescriptor, text string) error {
	if strings.ContainsRune(text, 0) {
		return verification.Invalid(string(field.Name()), "must not contain the character U+0000")
	}
	return nil
}
