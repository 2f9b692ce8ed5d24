/**
 * Where the person comes back in a tab that did not start: it shows what the
 * first tab hears. Coming back proves nothing; only the signed decision counts.
 */
import { useEffect, useState } from "react";
import { ask } from "./channel.js";
import { Bar } from "./parts/frame.js";
import type { Step } from "./session.js";
import { titleOfResult, wordsOfState } from "./words.js";

/** How long the first tab may take to answer, in milliseconds. */
const patienceMs = 1500;

/** The page for a run that another tab started. */
export function Returned({ run }: { readonly run: string }) {
  const [step, setStep] = useState<Step>();
  const [silent, setSilent] = useState(false);

  useEffect(() => {
    document.title = "Verigate: you are back";
    const first = ask(run, setStep);
    const silence = setTimeout(() => setSilent(true), patienceMs);
    return () => {
      clearTimeout(silence);
      first.close();
    };
  }, [run]);

  return (
    <>
      <Bar />
      <main className="narrow">
        <section className="panel">
          <h1>You are back</h1>
          <p>
            The result arrives by stream in the first tab, where you started. Coming back here proves nothing: only the
            provider’s signed word decides.
          </p>
          <div className="result" data-result={step?.result ?? "none"} id="result" role="status">
            <p className="role">As the first tab hears it</p>
            <p className="result-word">{wordOf(step, silent)}</p>
            {step !== undefined && <p className="result-text">{wordsOfState(step.state).title}</p>}
          </div>
          <p className="quiet">
            You can close this tab, or <a href="/">open the demo here</a>.
          </p>
        </section>
      </main>
    </>
  );
}

function wordOf(step: Step | undefined, silent: boolean): string {
  if (step !== undefined) {
    return titleOfResult(step.result);
  }
  return silent ? "The first tab does not answer" : "Asking…";
}
