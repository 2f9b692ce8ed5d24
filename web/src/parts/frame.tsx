/** What frames the page: the bar, and the panels that say who they speak for. */
import type { ReactNode } from "react";
import icon from "../icon.svg";

/** The bar at the top. */
export function Bar() {
  return (
    <header className="bar">
      <img src={icon} alt="" width="28" height="28" />
      <span className="brand">Verigate</span>
      <span className="tag">
        development <code>{location.host}</code>
      </span>
    </header>
  );
}

/** What a panel is about. */
export interface PanelProps {
  /** The id of its heading. */
  readonly id: string;
  /** In whose place the visitor is here. */
  readonly role: string;
  readonly title: string;
  /** Stands across from the heading. */
  readonly aside?: ReactNode;
  readonly className?: string;
  readonly children: ReactNode;
}

/** One part of the page with its heading. */
export function Panel({ id, role, title, aside, className = "", children }: PanelProps) {
  return (
    <section className={`panel ${className}`} aria-labelledby={id}>
      <div className="panel-head">
        <p className="role">{role}</p>
        {aside}
        <h2 id={id}>{title}</h2>
      </div>
      {children}
    </section>
  );
}
