/**
 * Whether the app is in front, and who wants to know: the open watches of one
 * client. In a browser the page tells, elsewhere pause and resume do.
 */
import { listenToPage } from "./page.js";

/** Member is an open watch. */
export interface Member {
  /** The app went to the background: silence says nothing from now on. */
  paused(): void;
  /** The app is back: what was open may be dead without saying so. */
  resumed(): void;
}

/** Presence is one client's. */
export class Presence {
  #paused = false;
  readonly #members = new Set<Member>();
  #leavePage: () => void = () => undefined;

  /** Whether the app is in the background. */
  get paused(): boolean {
    return this.#paused;
  }

  /** The app goes to the background. */
  pause(): void {
    this.#paused = true;
    for (const member of this.#members) {
      member.paused();
    }
  }

  /** The app is in front again, or the network is another one. */
  resume(): void {
    this.#paused = false;
    for (const member of [...this.#members]) {
      member.resumed();
    }
  }

  /** The page is listened to from the first member to the last. */
  join(member: Member): void {
    this.#members.add(member);
    if (this.#members.size === 1) {
      this.#leavePage = listenToPage(this);
    }
  }

  leave(member: Member): void {
    if (this.#members.delete(member) && this.#members.size === 0) {
      this.#leavePage();
    }
  }
}
