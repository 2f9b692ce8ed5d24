/**
 * The demo: one verification, seen from all its sides.
 *
 *     start form ─► session ─► watch ─────► steps ─────► result, timeline
 *                     │  ▲                    │
 *                     │  └── session storage ─┤
 *                     └────► callbacks ───────┴────────► list
 */
import { useCallback, useEffect, useRef, useState } from "react";
import { listFlows, start, type Flow } from "./backend.js";
import { answer } from "./channel.js";
import { Callbacks } from "./parts/callbacks.js";
import { Code } from "./parts/code.js";
import { Bar } from "./parts/frame.js";
import { HostedPage } from "./parts/hosted_page.js";
import { Live } from "./parts/live.js";
import { StartForm } from "./parts/start_form.js";
import { forget, latest, recall, remember, withCallback, withStep, type Session } from "./session.js";
import { useCallbacks } from "./use_callbacks.js";
import { useLineEvents } from "./use_line_events.js";
import { useSeen } from "./use_page.js";
import { useWatch } from "./use_watch.js";
import { titleOfResult, wordsOfState } from "./words.js";

/** The whole page. */
export function Demo() {
  const { flows, problem, retry } = useFlows();
  const [chosen, setChosen] = useState("");
  const [reference, setReference] = useState("");
  const [justStarted, setJustStarted] = useState(false);
  const [startsAgain, setStartsAgain] = useState(false);
  const [session, setSession] = useSession();
  const flow = chosen || flows?.[0]?.name || "";
  const over = latest(session)?.terminal ?? false;
  const seen = useSeen();

  // What is decided may still be revised: that is followed while it is seen.
  const watching = useWatch(session, seen || !over, (step) => setSession((known) => known && withStep(known, step)));
  const hearing = useCallbacks(session?.run, seen, (callback) => setSession((known) => known && withCallback(known, callback)));
  const lineEvents = useLineEvents(session?.id, watching);

  const begin = async (): Promise<void> => {
    setSession(await start(flow, reference.trim()));
    setJustStarted(true);
  };
  const again = (): void => {
    forget();
    setSession(undefined);
    setJustStarted(false);
    setStartsAgain(true);
  };

  return (
    <>
      <Bar />
      <main>
        <div className="lead">
          <h1>See a verification through</h1>
          <p>
            Start it as your backend would, pass the hosted page as your user would, and hear the result as your app and
            your backend would.
          </p>
        </div>
        {session === undefined ? (
          <StartForm
            flows={flows}
            flow={flow}
            reference={reference}
            onFlow={setChosen}
            onReference={setReference}
            onStart={begin}
            problem={problem}
            onRetry={retry}
            takesFocus={startsAgain}
          />
        ) : (
          <HostedPage session={session} justStarted={justStarted} onAgain={again} />
        )}
        <Live session={session} watching={watching} lineEvents={lineEvents} />
        <Callbacks session={session} hearing={hearing} />
        <Code
          subject={{
            flow: session?.flow ?? flow,
            reference: session?.reference ?? reference.trim(),
            id: session?.id,
            version: latest(session)?.version,
          }}
        />
      </main>
      <Announcement session={session} />
    </>
  );
}

/** Says each new state to those who do not see the page. */
function Announcement({ session }: { session: Session | undefined }) {
  const step = latest(session);
  const { title, text } = wordsOfState(step?.state ?? "");
  return (
    <p className="hidden" role="status" id="announcement">
      {step === undefined ? "" : `${step.terminal ? `${titleOfResult(step.result)}. ` : ""}${title}. ${text}`}
    </p>
  );
}

/** The flows that may be started. */
function useFlows(): { flows: readonly Flow[] | undefined; problem: string; retry: () => void } {
  const [flows, setFlows] = useState<readonly Flow[]>();
  const [problem, setProblem] = useState("");
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    listFlows(stop.signal)
      .then(setFlows)
      .catch((error: Error) => stop.signal.aborted || setProblem(error.message));
    return () => stop.abort();
  }, [tries]);
  const retry = useCallback(() => {
    setProblem("");
    setTries((count) => count + 1);
  }, []);
  return { flows, problem, retry };
}

/** The session of this tab: kept for the next load, and told to other tabs. */
function useSession() {
  const [session, setSession] = useState(recall);
  const current = useRef(session);
  const channel = useRef<ReturnType<typeof answer>>(undefined);

  const run = session?.run;
  useEffect(() => {
    if (run === undefined) {
      return undefined;
    }
    const opened = answer(run, () => latest(current.current));
    channel.current = opened;
    return () => opened.close();
  }, [run]);

  useEffect(() => {
    current.current = session;
    if (session !== undefined) {
      remember(session);
    }
  }, [session]);

  const step = latest(session);
  useEffect(() => {
    if (step !== undefined) {
      channel.current?.tell(step);
    }
  }, [step]);

  return [session, setSession] as const;
}
