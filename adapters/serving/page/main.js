/** The reading room's page: which film is shown, and what the parts of the page tell each other. */

import { bytes, json } from "./api.js";
import { connectDrop } from "./drop.js";
import { hasEdits, showDraft } from "./draft.js";
import { byId, element } from "./element.js";
import { FilmView } from "./film.js";
import { showFindings } from "./findings.js";
import { handle } from "./gestures.js";
import { showOverlays } from "./overlays.js";
import { showFiles, showMeasurements, showSimilar } from "./results.js";
import { askForToken, connectSession } from "./session.js";
import { connectTheme } from "./theme.js";
import { connectTools, mode } from "./tools.js";
import { Uploads } from "./uploads.js";
import { nameOf, Worklist } from "./worklist.js";

const SAYS = {
  waiting: "waits for its turn",
  reading: "is being read",
  refused: "was refused",
  failed: "could not be read",
};

const view = new FilmView(byId("film"));
let current = null; // id of the film that is shown or waited for
let shown = null; // … once its results are on the page
let asked = null; // … while the service is asked for it
let askAgain = false; // its state changed meanwhile

const worklist = new Worklist({
  open,
  changed: (job) => job.id === current && show(job.id),
  trouble,
});
const uploads = new Uploads({
  given: (job, isFirst) => {
    worklist.add(job);
    if (isFirst) open(job.id);
  },
  signedOut: () => askForToken(true),
});

handle(view, mode);
connectTools(view);
connectTheme();
connectDrop((files) => uploads.add(files));
connectSession(() => {
  worklist.ask();
  uploads.resume();
  if (current) show(current);
});
window.addEventListener("beforeunload", (event) => {
  if (hasEdits() || uploads.pending) event.preventDefault(); // the browser asks whether to leave
});
window.addEventListener("hashchange", () => openFromAddress());
worklist.ask();
openFromAddress();

/** The address holds the film's job number after #, which goes into no log, so that a reload shows it again. */
function openFromAddress() {
  const id = location.hash.slice(1);
  if (/^[0-9a-f]{32}$/.test(id) && id !== current) open(id);
}

function open(id) {
  if (id === current) return;
  current = id;
  shown = null;
  history.replaceState(null, "", `#${id}`);
  worklist.choose(id);
  clear("");
  show(id);
}

/** Show what the service knows of a film, asking once at a time. */
async function show(id) {
  askAgain = asked === id;
  if (askAgain) return;
  asked = id;
  await load(id);
  if (asked !== id) return; // another was opened
  asked = null;
  if (askAgain && shown !== id) show(id);
}

/** Its results, or how far it is. */
async function load(id) {
  const isCurrent = () => id === current;
  try {
    const result = await json(`/results/${id}`);
    if (!isCurrent() || shown === id) return;
    if (result.reading) await showReading(result, isCurrent);
    else clear(`Film ${nameOf(result)} ${SAYS[result.state] ?? "is not read yet"}`, result.reason);
  } catch (error) {
    if (!isCurrent()) return;
    if (error.status === 401) askForToken(true);
    else clear("This film cannot be shown", error.message);
  }
}

async function showReading(result, isCurrent) {
  const { film } = result;
  const pixels = film && new Uint16Array(await bytes(film.url));
  if (!isCurrent()) return;
  shown = result.id;
  clear("");
  if (film) view.show(pixels, film.rows, film.cols, film.bits);
  byId("panels").hidden = false;
  showFindings(result);
  showDraft(result);
  showMeasurements(result);
  showFiles(result);
  tellRead(result);
  await Promise.all([film && showOverlays(view, byId("overlays"), result, isCurrent), showSimilar(result, isCurrent)]);
}

function tellRead(result) {
  const called = Object.values(result.reading.findings).filter((finding) => finding.called === "present").length;
  byId("film").setAttribute("aria-label", `Film ${nameOf(result)}`);
  byId("state").className = result.reason ? "state" : "sr"; // a film that cannot be shown was read all the same
  byId("state").textContent = `Film ${nameOf(result)} is read. Findings called: ${called}. ${result.reason ?? ""}`;
}

/** No film; what is told instead. */
function clear(text, reason = null) {
  view.hide();
  byId("film").setAttribute("aria-label", "No film");
  byId("panels").hidden = true;
  byId("overlays").hidden = true;
  byId("empty").hidden = current !== null;
  byId("state").className = "state";
  const told = text ? [element("p", { class: "lead" }, text), element("p", {}, reason ?? "")] : [];
  byId("state").replaceChildren(...told);
}

/** Tell that the service did not answer, and take it back once it does. */
function trouble(error) {
  if (!error || error.status === 401) askForToken(Boolean(error));
  byId("message").hidden = !error || error.status === 401;
  byId("message").textContent = error ? `${error.message} Trying again.` : "";
}
