/**
 * The page's life in a browser, told to a client as pause and resume. A hidden
 * tab's timers are slowed down and a frozen one's connections die in silence
 * (https://developer.chrome.com/docs/web-platform/page-lifecycle-api), so the
 * watchdogs sleep while it is hidden and every stream is opened anew on return.
 */

/** What the page tells. */
export interface Listener {
  pause(): void;
  resume(): void;
}

/** One return to a page sets off several of the events within this time, in milliseconds. */
const ONE_RETURN_MS = 1000;

/** Tells the listener until the returned function is called. Does nothing where there is no page. */
export function listenToPage(listener: Listener): () => void {
  const page = globalThis.document as Document | undefined;
  if (typeof page?.addEventListener !== "function" || typeof globalThis.addEventListener !== "function") {
    return () => undefined;
  }
  const life = new PageLife(page, listener);
  page.addEventListener("visibilitychange", life.turned);
  page.addEventListener("resume", life.returned);
  globalThis.addEventListener("pageshow", life.shown);
  globalThis.addEventListener("online", life.returned);
  life.begin();
  return () => {
    page.removeEventListener("visibilitychange", life.turned);
    page.removeEventListener("resume", life.returned);
    globalThis.removeEventListener("pageshow", life.shown);
    globalThis.removeEventListener("online", life.returned);
    life.end();
  };
}

class PageLife {
  readonly #page: Document;
  readonly #listener: Listener;
  #paused = false;
  #resumedAt = Number.NEGATIVE_INFINITY;

  constructor(page: Document, listener: Listener) {
    this.#page = page;
    this.#listener = listener;
  }

  // A page may be hidden already when its first watch begins.
  begin(): void {
    if (this.#hidden) {
      this.#pause();
    }
  }

  // What the page paused must not stay so for the next watch.
  end(): void {
    if (this.#paused) {
      this.#resume();
    }
  }

  readonly turned = (): void => (this.#hidden ? this.#pause() : this.returned());

  // From the back/forward cache; the first showing is none of our business.
  readonly shown = (event: Event): void => {
    if ((event as PageTransitionEvent).persisted) {
      this.returned();
    }
  };

  // Unfrozen, or online again, perhaps still hidden: new streams either way, but
  // no watchdog over a page whose timers are slow.
  readonly returned = (): void => {
    if (this.#paused || performance.now() - this.#resumedAt > ONE_RETURN_MS) {
      this.#resume();
    }
    if (this.#hidden) {
      this.#pause();
    }
  };

  get #hidden(): boolean {
    return this.#page.visibilityState === "hidden";
  }

  #pause(): void {
    this.#paused = true;
    this.#listener.pause();
  }

  #resume(): void {
    this.#paused = false;
    this.#resumedAt = performance.now();
    this.#listener.resume();
  }
}
