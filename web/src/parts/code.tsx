/** The last step: the same in code, for each kind of app. */
import { curlCommands, type Subject } from "../curl.js";
import { highlighted } from "../highlight.js";
import { samples, type Sample } from "../samples.js";
import { CopyButton } from "./copy_button.js";
import { Panel } from "./frame.js";
import { Tabs } from "./tabs.js";

/** The code tabs; the curl commands are about this very verification. */
export function Code({ subject }: { readonly subject: Subject }) {
  return (
    <Panel id="code-title" role="In your code" title="Write it yourself" className="wide">
      <p className="quiet">
        The programs start a verification, watch it, outlive a restart of the gateway and print the result; curl shows the
        calls behind them. Load the address and the key first: <code className="whole">set -a; . .verigate/dev.env; set +a</code> (or from the data directory that you
        chose).
      </p>
      <Tabs
        label="Language"
        tabs={[
          tabOf(samples.typescript),
          { name: "swift", title: "Swift", panel: <Coming /> },
          tabOf(samples.kotlin),
          tabOf(samples.go),
          { name: "curl", title: "curl", panel: <Curl subject={subject} /> },
        ]}
      />
    </Panel>
  );
}

function tabOf(sample: Sample) {
  return { name: sample.name, title: sample.title, panel: <Program sample={sample} /> };
}

function Program({ sample }: { sample: Sample }) {
  return (
    <>
      <p className="quiet code-note">
        <code>{sample.path}</code>, as the tests compile and run it.
      </p>
      <Block text={sample.text.trimEnd()} what={`the ${sample.title} program`} comment="//" />
    </>
  );
}

function Coming() {
  return (
    <p className="coming">
      The Swift client is coming. Until its generated code is here, this page shows none; the contract is in{" "}
      <code>proto/verigate/v1</code>.
    </p>
  );
}

function Curl({ subject }: { subject: Subject }) {
  return (
    <>
      {subject.id === undefined && (
        <p className="quiet code-note">Start a verification, and the last two commands have its id.</p>
      )}
      {curlCommands(subject).map(({ name, title, text }) => (
        <div className="command" key={name}>
          <h3>{title}</h3>
          <Block text={text} what={`the command: ${title}`} comment="#" name={`curl-${name}`} />
        </div>
      ))}
    </>
  );
}

interface BlockProps {
  readonly text: string;
  readonly what: string;
  readonly comment: "//" | "#";
  readonly name?: string;
}

function Block({ text, what, comment, name }: BlockProps) {
  return (
    <div className="block">
      <CopyButton text={text} what={what} />
      <pre tabIndex={0} role="region" aria-label={what} data-name={name}>
        {highlighted(text, comment).map(({ kind, text: part }, number) =>
          kind === "plain" ? part : (
            <span className={`code-${kind}`} key={number}>
              {part}
            </span>
          ),
        )}
      </pre>
    </div>
  );
}
