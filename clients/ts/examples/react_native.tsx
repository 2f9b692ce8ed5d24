/**
 * A React Native app that has its user verified: the example of
 * docs/integrate/react-native.md.
 *
 *     open ──► your backend ──► the hosted page in the browser
 *     a link opens the app, or the app is in front again ──► the watch goes on
 *
 * React Native's own fetch cannot stream, so the client polls; give it a fetch
 * that can, such as Expo's, and it streams.
 */
import { useCallback, useEffect, useMemo, useState } from "react";
import { AppState, Linking } from "react-native";
import { createVerigate, type Verigate } from "@verigate/client";
import { useWatch, type Watched } from "@verigate/client/react";

/** Where the person comes back: your scheme or your universal link. */
const returnLink = "myapp://verify-complete";

/** What your backend answers to POST /verifications. */
export interface Begun {
  readonly id: string;
  /** Empty when the verification is over. */
  readonly hostedUrl: string;
  readonly clientToken: string;
}

/** What a screen needs. */
export interface Verification extends Watched {
  /** Opens the hosted page, or goes on with a verification that is over. */
  open(again?: boolean): Promise<void>;
}

/** One user's verification. begin asks your backend, with your user's session. */
export function useVerification(gateway: string, begin: (again: boolean) => Promise<Begun>): Verification {
  const [begun, setBegun] = useState<Begun>();
  const verigate = useMemo(
    () => begun && createVerigate({ baseUrl: gateway, token: begun.clientToken }),
    [gateway, begun?.clientToken],
  );
  useForeground(verigate);
  useReturnLink(useCallback(() => void begin(false).then(setBegun, () => undefined), [begin]));

  const open = useCallback(
    async (again = false) => {
      const next = await begin(again);
      setBegun(next);
      if (next.hostedUrl !== "") {
        await Linking.openURL(next.hostedUrl);
      }
    },
    [begin],
  );
  return { ...useWatch(verigate, begun?.id), open };
}

/** Tells the client when the app is behind others, where the system cuts its connections. */
function useForeground(verigate: Verigate | undefined): void {
  useEffect(() => {
    const subscription = AppState.addEventListener("change", (state) => {
      if (state === "active") {
        verigate?.resume();
      } else if (state === "background") {
        verigate?.pause();
      }
    });
    return () => subscription.remove();
  }, [verigate]);
}

/** Calls back when the link opened the app, also one that was not running. It proves nothing. */
function useReturnLink(back: () => void): void {
  useEffect(() => {
    const look = (url: string | null) => {
      if (url?.startsWith(returnLink)) {
        back();
      }
    };
    Linking.getInitialURL().then(look, () => undefined);
    const subscription = Linking.addEventListener("url", ({ url }) => look(url));
    return () => subscription.remove();
  }, [back]);
}
