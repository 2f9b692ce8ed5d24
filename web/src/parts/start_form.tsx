/** The first step: choose a flow and start, in the place of a backend. */
import { useEffect, useRef, useState, type FormEvent } from "react";
import type { Flow } from "../backend.js";
import { Panel } from "./frame.js";

/** What the form needs. */
export interface StartFormProps {
  /** Undefined while they are asked for. */
  readonly flows: readonly Flow[] | undefined;
  readonly flow: string;
  readonly reference: string;
  readonly onFlow: (flow: string) => void;
  readonly onReference: (reference: string) => void;
  /** Starts; fails with an Error whose message is for the person. */
  readonly onStart: () => Promise<void>;
  /** Why the flows could not be had. */
  readonly problem: string;
  /** Asks for the flows once more. */
  readonly onRetry: () => void;
  /** True after another run: the visitor goes on at the first choice. */
  readonly takesFocus: boolean;
}

/** The form that starts a verification. */
export function StartForm(props: StartFormProps) {
  const [starting, setStarting] = useState(false);
  const [refused, setRefused] = useState("");
  const problem = refused || props.problem;
  const form = useRef<HTMLFormElement>(null);
  const { takesFocus } = props;
  useEffect(() => {
    if (takesFocus) {
      form.current?.querySelector<HTMLElement>("input:checked")?.focus();
    }
  }, [takesFocus]);

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    // The button stays in place and keeps the focus, so it is not disabled.
    if (starting) {
      return;
    }
    setStarting(true);
    setRefused("");
    try {
      await props.onStart();
    } catch (error) {
      setRefused((error as Error).message);
    } finally {
      setStarting(false);
    }
  };

  return (
    <Panel id="start-title" role="As your backend" title="Start a verification">
      <form ref={form} onSubmit={submit} autoComplete="off">
        <FlowCards {...props} />
        <label className="field" htmlFor="reference">
          Reference <span className="quiet">optional, your own id for it</span>
        </label>
        <input
          id="reference"
          type="text"
          maxLength={256}
          placeholder="order-1"
          spellCheck={false}
          autoCapitalize="none"
          value={props.reference}
          onChange={(event) => props.onReference(event.target.value)}
        />
        <p className="problem" role="alert">
          {problem}
        </p>
        {props.flows === undefined && problem !== "" ? (
          // Keys keep them two buttons: one that became the other while it is pressed
          // would submit the form.
          <button key="retry" className="button" type="button" onClick={props.onRetry}>
            Try again
          </button>
        ) : (
          <button key="start" className="button" type="submit" aria-disabled={starting || props.flows === undefined}>
            {starting ? "Starting…" : "Start a verification"}
          </button>
        )}
      </form>
    </Panel>
  );
}

function FlowCards({ flows, flow, onFlow }: StartFormProps) {
  return (
    <fieldset className="flows" aria-busy={flows === undefined}>
      <legend>Flow</legend>
      {(flows ?? []).map(({ name, title, description }) => (
        <label className="flow" key={name}>
          <input
            type="radio"
            name="flow"
            value={name}
            required
            checked={name === flow}
            onChange={() => onFlow(name)}
            aria-describedby={`flow-${name}`}
          />
          <span className="flow-title">
            {title} <code>{name}</code>
          </span>
          <span className="flow-text" id={`flow-${name}`}>
            {description}
          </span>
        </label>
      ))}
    </fieldset>
  );
}
