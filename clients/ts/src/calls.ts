/**
 * The calls to the gateway: the Connect protocol in JSON over fetch, which is
 * the form that browsers, Node and React Native share.
 *
 * Flow: token → Authorization header → fetch → message or Failure's error.
 */
import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { VerificationService } from "../../../gen/ts/verigate/v1/verification_service_pb.js";
import { closedBy } from "./body.js";
import { CannotStream } from "./failure.js";
import type { Settings } from "./options.js";

/** The generated client of the VerificationService. */
export type Calls = Client<typeof VerificationService>;

/** Makes the client of one gateway. */
export function createCalls(settings: Settings): Calls {
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set("Authorization", `Bearer ${await settings.token()}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: settings.baseUrl,
    useBinaryFormat: false,
    useHttpGet: false,
    jsonOptions: { ignoreUnknownFields: true },
    interceptors: [authorize],
    fetch: async (input, init) => {
      const answer = await (settings.fetch ?? globalThis.fetch)(input, init);
      return answer.ok && isStream(init) ? streamed(answer, init?.signal) : answer;
    },
  });
  return createClient(VerificationService, transport);
}

// All that connect-web reads of a stream's answer. A Response cannot be copied
// with another body in every runtime.
function streamed({ ok, status, headers, body }: Response, signal: AbortSignal | null | undefined): Response {
  if (!body) {
    throw new CannotStream("the answer of fetch has no body that can be read as a stream");
  }
  return { ok, status, headers, body: signal ? closedBy(signal, body) : body } as Response;
}

function isStream(init: RequestInit | undefined): boolean {
  return new Headers(init?.headers).get("content-type")?.startsWith("application/connect+") ?? false;
}
