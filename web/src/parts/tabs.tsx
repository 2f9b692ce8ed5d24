/**
 * Tabs as the ARIA Authoring Practices describe them: one tab stop, arrows, Home
 * and End move and choose (https://www.w3.org/WAI/ARIA/apg/patterns/tabs/).
 */
import { useId, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

/** One tab and its panel. */
export interface Tab {
  readonly name: string;
  readonly title: string;
  readonly panel: ReactNode;
}

/** Shows one of several panels; label names the row of tabs. */
export function Tabs({ label, tabs }: { readonly label: string; readonly tabs: readonly Tab[] }) {
  const [chosen, setChosen] = useState(0);
  const row = useRef<HTMLDivElement>(null);
  const id = useId();

  const choose = (event: KeyboardEvent): void => {
    const next = target(event.key, chosen, tabs.length);
    if (next === undefined) {
      return;
    }
    event.preventDefault();
    setChosen(next);
    (row.current?.children[next] as HTMLElement | undefined)?.focus();
  };

  return (
    <>
      <div className="tabs" role="tablist" aria-label={label} ref={row} onKeyDown={choose}>
        {tabs.map(({ name, title }, number) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-tab-${name}`}
            aria-controls={`${id}-panel-${name}`}
            aria-selected={number === chosen}
            tabIndex={number === chosen ? 0 : -1}
            onClick={() => setChosen(number)}
          >
            {title}
          </button>
        ))}
      </div>
      {tabs.map(({ name, panel }, number) => (
        <div
          key={name}
          role="tabpanel"
          id={`${id}-panel-${name}`}
          aria-labelledby={`${id}-tab-${name}`}
          hidden={number !== chosen}
          tabIndex={0}
        >
          {panel}
        </div>
      ))}
    </>
  );
}

/** The tab to which a key leads, if it leads to one. */
function target(key: string, chosen: number, count: number): number | undefined {
  switch (key) {
    case "ArrowRight":
      return (chosen + 1) % count;
    case "ArrowLeft":
      return (chosen - 1 + count) % count;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return undefined;
  }
}
