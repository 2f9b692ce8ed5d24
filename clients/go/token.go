package verigate

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect/v2"
)

// APIKey sends a credential that does not change with every call: an API key, or
// the client token of one verification.
func APIKey(key string) connect.ClientInterceptor {
	return bearer(func(context.Context) (string, error) { return key, nil }, false)
}

// TokenFunc sends a token that it asks for with every call, such as an end user's
// access token. When the gateway refuses one during a watch, it is asked once
// more, at once, before the watch gives up. An error of the function is the
// call's error; a watch tries again, unless it is a connect.Error that retrying
// cannot heal.
func TokenFunc(token func(context.Context) (string, error)) connect.ClientInterceptor {
	return bearer(token, true)
}

func bearer(token func(context.Context) (string, error), renewable bool) connect.ClientInterceptor {
	return func(next connect.ClientFunc) connect.ClientFunc {
		return func(ctx context.Context, spec connect.Spec) (connect.ClientStream, error) {
			if renewable {
				notesOf(ctx).noteRenewable()
			}
			text, err := token(ctx)
			if err != nil {
				return nil, fmt.Errorf("verigate: the token function failed: %w", err)
			}
			if text == "" || strings.ContainsFunc(text, isNoTokenCharacter) {
				return nil, connect.NewError(connect.CodeUnauthenticated,
					"verigate: the token is empty or holds spaces, line breaks or other characters that no token has")
			}
			if info, ok := connect.CallInfoForClientContext(ctx); ok {
				info.RequestHeader().Set("Authorization", "Bearer "+text)
			}
			return next(ctx, spec)
		}
	}
}

// isNoTokenCharacter reports what a header's credential cannot hold, such as the
// line break at the end of a file.
func isNoTokenCharacter(r rune) bool { return r <= ' ' || r > '~' }
