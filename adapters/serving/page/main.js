/** The reading room's page: which film is shown, and what the parts of the page tell each other. */

import { bytes, json, login } from "./api.js";
import { connectDrop } from "./drop.js";
import { showDraft } from "./draft.js";
import { byId, element } from "./element.js";
import { FilmView } from "./film.js";
import { showFindings } from "./findings.js";
import { handle } from "./gestures.js";
import { showOverlays } from "./overlays.js";
import { showFiles, showMeasurements, showSimilar } from "./results.js";
import { connectTheme } from "./theme.js";
import { connectTools, mode } from "./tools.js";
import { Uploads } from "./uploads.js";
import { nameOf, Worklist } from "./worklist.js";

const SAYS = {
  waiting: "waits for its turn.",
  reading: "is being read.",
  refused: "was refused:",
  failed: "could not be read:",
};

const view = new FilmView(byId("film"));
let current = null; // id of the film that is shown or waited for
let shown = null; // … once its results are on the page

const worklist = new Worklist({
  open,
  changed: (job) => job.id === current && show(job.id),
  trouble,
});
const uploads = new Uploads({
  given: (job) => {
    worklist.add(job);
    if (current === null || shown !== null) open(job.id);
  },
  signedOut: () => signIn(true),
});

handle(view, mode);
connectTools(view);
connectTheme();
connectDrop((files) => uploads.add(files));
byId("login").addEventListener("submit", submitToken);
window.addEventListener("hashchange", () => openFromAddress());
worklist.ask();
openFromAddress();

/** The address holds the film's job number after #, which never goes to the service's log, and so a reload shows it again. */
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

/** Show what the service knows of a film: its results, or how far it is. */
async function show(id) {
  const isCurrent = () => id === current;
  try {
    const result = await json(`/results/${id}`);
    if (!isCurrent() || shown === id) return;
    if (result.state !== "read" || !result.reading) clear(`Film ${nameOf(result)} ${SAYS[result.state] ?? "is not read yet."}`, result.reason);
    else await showReading(result, isCurrent);
  } catch (error) {
    if (!isCurrent()) return;
    if (error.status === 401) signIn(true);
    else clear("This film cannot be shown.", error.message);
  }
}

async function showReading(result, isCurrent) {
  const { film } = result;
  const [pixels, lay] = film ? await Promise.all([bytes(film.url), showOverlays(view, byId("overlays"), result)]) : [null, null];
  if (!isCurrent()) return;
  shown = result.id;
  clear("");
  if (film) {
    view.show(new Uint16Array(pixels), film.rows, film.cols, film.bits);
    lay();
  }
  byId("empty").hidden = true;
  byId("panels").hidden = false;
  showFindings(result);
  showDraft(result);
  showMeasurements(result);
  showFiles(result);
  tellRead(result);
  await showSimilar(result, isCurrent).catch(trouble);
}

function tellRead(result) {
  const called = Object.values(result.reading.findings).filter((finding) => finding.called === "present").length;
  byId("film").setAttribute("aria-label", `Film ${nameOf(result)}`);
  byId("state").className = "state sr";
  byId("state").textContent = `Film ${nameOf(result)} is read. Findings called: ${called}.`;
}

/** No film; what is told instead. */
function clear(text, reason = null) {
  view.hide();
  byId("film").setAttribute("aria-label", "No film");
  byId("panels").hidden = true;
  byId("overlays").hidden = true;
  byId("empty").hidden = current !== null;
  byId("state").className = "state";
  byId("state").replaceChildren(text, ...(reason ? [element("strong", {}, ` ${reason}`)] : []));
}

/** Tell that the service did not answer, and take it back once it does. */
function trouble(error) {
  if (error?.status === 401) signIn(true);
  else signIn(false);
  byId("message").hidden = !error || error.status === 401;
  byId("message").textContent = error ? `${error.message} Trying again.` : "";
}

function signIn(needed) {
  byId("login").hidden = !needed;
  byId("room").hidden = needed;
}

async function submitToken(event) {
  event.preventDefault();
  const refused = byId("login-refused");
  refused.textContent = "";
  try {
    await login(byId("token").value);
  } catch (error) {
    refused.textContent = [401, 403].includes(error.status) ? "This is not the token." : error.message;
    return;
  }
  byId("token").value = "";
  await worklist.ask();
  uploads.resume();
  if (current) show(current);
}
