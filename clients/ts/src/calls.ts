/**
 * The calls to the gateway: the Connect protocol in JSON over fetch, which is
 * the form that browsers, Node and React Native share.
 *
 * Flow: token → Authorization header → fetch → message or Failure's error.
 */
import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { VerificationService } from "../../../gen/ts/verigate/v1/verification_service_pb.js";
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
      const response = await (settings.fetch ?? globalThis.fetch)(input, init);
      if (response.ok && !response.body && isStream(init)) {
        throw new CannotStream("the answer of fetch has no body that can be read as a stream");
      }
      return response;
    },
  });
  return createClient(VerificationService, transport);
}

function isStream(init: RequestInit | undefined): boolean {
  return new Headers(init?.headers).get("content-type")?.startsWith("application/connect+") ?? false;
}
