/** The newest films of the service and how far each is, asked for without hammering. */

import { json } from "./api.js";
import { byId, element } from "./element.js";

const SIGNS = { waiting: "…", reading: "◐", read: "✓", refused: "✕", failed: "!" };
const LIMIT = 50;
const SOON = 1; // seconds, where something is under way; longer the longer nothing changes …
const LATER = 15; // … up to this
const UNREACHABLE = 60; // longest wait between tries, where nobody answers

export class Worklist {
  /** open(id): a film was chosen. changed(job): its state is another. trouble(error | null): of the last question. */
  constructor({ open, changed, trouble }) {
    Object.assign(this, { open, changed, trouble, jobs: new Map(), rows: new Map(), wait: SOON, chosen: null });
    document.addEventListener("visibilitychange", () => !document.hidden && this.ask());
  }

  /** Ask now, and go on asking. */
  ask() {
    clearTimeout(this.timer);
    this.asking ??= this.#ask().finally(() => { this.asking = null; });
    return this.asking;
  }

  /** Mark the film that is shown. */
  choose(id) {
    this.chosen = id;
    for (const [other, row] of this.rows) row.button.setAttribute("aria-current", other === id);
  }

  /** A job the service has just told of. */
  add(job) {
    this.#take([job, ...[...this.jobs.values()].filter((other) => other.id !== job.id)]);
    this.wait = SOON;
    this.ask();
  }

  async #ask() {
    try {
      const { jobs } = await json(`/results?limit=${LIMIT}`);
      const moved = this.#take(jobs);
      const under = jobs.some((job) => job.state === "waiting" || job.state === "reading");
      this.wait = moved ? SOON : Math.min(under ? LATER / 3 : LATER, 1.5 * this.wait);
      if (!under) this.wait = LATER;
      this.trouble(null);
    } catch (error) {
      this.wait = error.retryAfter ?? Math.min(UNREACHABLE, 2 * this.wait);
      this.trouble(error);
      if (error.status === 401) return;
    }
    if (!document.hidden) this.timer = setTimeout(() => this.ask(), 1000 * this.wait);
  }

  /** Show these jobs; whether any is new or in another state. */
  #take(jobs) {
    const before = this.jobs;
    this.jobs = new Map(jobs.map((job) => [job.id, job]));
    const moved = jobs.filter((job) => before.get(job.id)?.state !== job.state);
    for (const id of this.rows.keys()) {
      if (!this.jobs.has(id)) this.rows.get(id).item.remove();
      if (!this.jobs.has(id)) this.rows.delete(id);
    }
    const list = byId("jobs");
    jobs.forEach((job, n) => {
      const row = this.#row(job);
      if (list.children[n] !== row.item) list.insertBefore(row.item, list.children[n] ?? null);
    });
    moved.forEach((job) => this.changed(job));
    return moved.length > 0;
  }

  /** The job's row: kept, so that it keeps the focus. */
  #row(job) {
    if (!this.rows.has(job.id)) {
      const state = element("span", { class: "job-state" });
      const open = { type: "button", "aria-current": job.id === this.chosen, onclick: () => this.open(job.id) };
      const button = element("button", open,
        element("span", { class: "job-name" }, nameOf(job)), state,
        element("time", { datetime: job.received, class: "quiet" }, timeOf(job.received)));
      this.rows.set(job.id, { item: element("li", {}, button), button, state });
    }
    const row = this.rows.get(job.id);
    row.item.dataset.state = job.state;
    row.state.replaceChildren(element("span", { "aria-hidden": "true" }, SIGNS[job.state] ?? ""), ` ${job.state}`);
    return row;
  }
}

/** What a film is called here: the beginning of its job's number, which holds nothing of the patient. */
export const nameOf = (job) => `${job.id.slice(0, 4)} ${job.id.slice(4, 8)}`;

function timeOf(received) {
  const time = new Date(received);
  if (Number.isNaN(time.valueOf())) return "";
  const today = time.toDateString() === new Date().toDateString();
  return today
    ? time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
    : time.toLocaleDateString([], { day: "numeric", month: "short" });
}
