/** The second step: open the hosted page, in the place of the person. */
import { useEffect, useRef } from "react";
import { latest, type Session } from "../session.js";
import { Panel } from "./frame.js";
import { QrCode } from "./qr.js";

/** What the step needs. */
export interface HostedPageProps {
  readonly session: Session;
  /** True once the visitor started in this load of the page: the next step gets the focus. */
  readonly justStarted: boolean;
  readonly onAgain: () => void;
}

/** Offers the hosted page while there is something to do on it. */
export function HostedPage({ session, justStarted, onAgain }: HostedPageProps) {
  const over = latest(session)?.terminal ?? false;
  return (
    <Panel id="hosted-title" role="As your user" title="Go through the hosted page">
      <Started session={session} over={over} onAgain={onAgain} />
      {!over && <Offer url={session.hostedUrl} takesFocus={justStarted} key={session.id} />}
    </Panel>
  );
}

/** What was started, and the way to another. */
function Started({ session, over, onAgain }: { session: Session; over: boolean; onAgain: () => void }) {
  return (
    <div className="started">
      <dl className="facts">
        <div>
          <dt>Flow</dt>
          <dd>
            <code>{session.flow}</code>
          </dd>
        </div>
        {session.reference !== "" && (
          <div>
            <dt>Reference</dt>
            <dd>
              <code>{session.reference}</code>
            </dd>
          </div>
        )}
        <div>
          <dt>Verification</dt>
          <dd>
            <code id="verification-id">{session.id}</code>
          </dd>
        </div>
      </dl>
      {over && <p className="quiet">This verification is over.</p>}
      <button type="button" className={over ? "button" : "link"} onClick={onAgain}>
        Start another one
      </button>
    </div>
  );
}

function Offer({ url, takesFocus }: { url: string; takesFocus: boolean }) {
  const open = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    if (takesFocus) {
      open.current?.focus();
    }
  }, [takesFocus]);
  return (
    <>
      <a className="button" ref={open} href={url} target="_blank" rel="noopener">
        Open the hosted page <span className="aside">(new tab)</span>
      </a>
      <p className="quiet">
        Or <a href={url}>open it in this tab</a> and come back here.
      </p>
      <div className="phone">
        <QrCode text={url} label="QR code of the hosted page’s address" />
        <div>
          <h3>On a phone</h3>
          <PhoneHint url={new URL(url)} />
        </div>
      </div>
    </>
  );
}

function PhoneHint({ url }: { url: URL }) {
  if (!isLoopback(url.hostname)) {
    return <p className="quiet">Scan it with the camera.</p>;
  }
  const port = url.port || "80";
  return (
    <>
      <p>
        <strong>Only this machine can open it:</strong> <code>{url.host}</code> is a loopback address.
      </p>
      <p className="quiet">
        An Android phone on a cable can after <code>adb reverse tcp:{port} tcp:{port}</code>, and so can a simulator that
        runs here.
      </p>
    </>
  );
}

/** Whether a host name means the machine on which it is opened. */
function isLoopback(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d+){3}$/.test(name);
}
