/**
 * Stands for react-native in the test of the example: vitest resolves that name to
 * this file, and the test is the phone.
 */

type Listener<T> = (event: T) => void;

class Listeners<T> {
  readonly #all = new Set<Listener<T>>();

  add(one: Listener<T>): { remove(): void } {
    this.#all.add(one);
    return { remove: () => this.#all.delete(one) };
  }

  tell(event: T): void {
    this.#all.forEach((one) => one(event));
  }

  get size(): number {
    return this.#all.size;
  }
}

/** The phone, as the test handles it. */
export const phone = {
  /** The link that opened the app, if one did. */
  initialURL: null as string | null,
  /** What the app opened. */
  opened: [] as string[],
  states: new Listeners<string>(),
  links: new Listeners<{ url: string }>(),
};

export const AppState = {
  currentState: "active",
  addEventListener: (_: "change", listener: Listener<string>) => phone.states.add(listener),
};

export const Linking = {
  getInitialURL: () => Promise.resolve(phone.initialURL),
  openURL: (url: string) => {
    phone.opened.push(url);
    return Promise.resolve();
  },
  addEventListener: (_: "url", listener: Listener<{ url: string }>) => phone.links.add(listener),
};
