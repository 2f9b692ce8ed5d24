/** A button that copies a text and says how that went. */
import { useEffect, useState } from "react";

/** How long the answer stays, in milliseconds. */
const answerMs = 2000;

/** Copies text; what completes "Copy …" for those who do not see the page. */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [answer, setAnswer] = useState("");
  useEffect(() => {
    if (answer === "") {
      return undefined;
    }
    const timer = setTimeout(() => setAnswer(""), answerMs);
    return () => clearTimeout(timer);
  }, [answer]);

  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setAnswer("Copied");
    } catch {
      // Without permission, or without a secure context.
      setAnswer("Select it and copy by hand");
    }
  };

  return (
    <button type="button" className="copy" onClick={copy}>
      <span aria-live="polite">{answer || "Copy"}</span>
      <span className="hidden"> {what}</span>
    </button>
  );
}
