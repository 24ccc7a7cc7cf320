/** Films on their way to the service: one after another, tried again where that may help. */

import { send } from "./api.js";
import { byId, element } from "./element.js";

const SHORTEST_WAIT = 3; // seconds between tries, doubled each time …
const LONGEST_WAIT = 60; // … up to this

export class Uploads {
  /** given(job, isFirst) is called for each film that the service took, signedOut() where it asks for its token. */
  constructor({ given, signedOut }) {
    Object.assign(this, { given, signedOut, waiting: [], count: 0, busy: false });
  }

  /** Send these files, after those that are on their way. They are numbered in the order given: names stay unsaid. */
  add(files) {
    const batch = { given: 0 }; // films of these files that the service took
    for (const file of files) {
      this.count += 1;
      const item = { file, batch, number: this.count };
      this.#list(item);
      this.waiting.push(item);
    }
    this.#run();
  }

  /** Whether films are on their way. */
  get pending() {
    return this.waiting.length;
  }

  /** Go on after signing in. */
  resume() {
    this.#run();
  }

  #list(item) {
    const name = `Film ${item.number}`;
    item.text = element("span", {}, `${name} waits to be sent`);
    item.bar = element("progress", { max: 1, value: 0, "aria-label": name });
    const drop = { type: "button", "aria-label": `Take ${name} off the list`, onclick: () => this.#drop(item) };
    item.row = element("li", {}, item.text, item.bar, element("button", drop, "×"));
    byId("uploads").append(item.row);
  }

  #drop(item) {
    item.dropped = true;
    this.waiting = this.waiting.filter((other) => other !== item);
    item.row.remove();
    item.wake?.();
  }

  async #run() {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length && (await this.#one(this.waiting[0])));
    this.busy = false;
  }

  /** Send one film; false where nothing can be sent until somebody signs in. */
  async #one(item) {
    for (let wait = SHORTEST_WAIT; !item.dropped; wait = Math.min(LONGEST_WAIT, 2 * wait)) {
      try {
        item.bar.hidden = false;
        const job = await send(item.file, (share) => {
          item.bar.value = share;
          item.text.textContent = `Film ${item.number}: ${share < 1 ? `${Math.floor(100 * share)} % sent` : "sent"}`;
        });
        if (item.dropped) return true; // the service has it all the same, and lists it
        this.#drop(item);
        item.batch.given += 1;
        this.given(job, item.batch.given === 1);
        return true;
      } catch (error) {
        if (error.status === 401) {
          this.signedOut();
          return false;
        }
        item.bar.hidden = true;
        if (!error.passes) {
          this.#refuse(item, error);
          return true;
        }
        await this.#pause(item, error, error.retryAfter ?? wait);
      }
    }
    return true;
  }

  #refuse(item, error) {
    this.waiting = this.waiting.filter((other) => other !== item);
    item.row.className = "refused";
    item.text.textContent = `Film ${item.number} was not taken. ${error.message}`;
  }

  /** Count the seconds down before the next try; the browser's return to the network ends the wait. */
  async #pause(item, error, seconds) {
    item.row.className = "pausing";
    for (let left = Math.ceil(seconds); left > 0 && !item.dropped; left -= 1) {
      item.text.textContent = `Film ${item.number} waits. ${error.message} Next try in ${left} s.`;
      const ended = await new Promise((done) => {
        item.wake = () => done(true);
        window.addEventListener("online", item.wake, { once: true });
        setTimeout(() => done(false), 1000);
      });
      window.removeEventListener("online", item.wake);
      if (ended) break;
    }
    item.row.className = "";
  }
}
