/** Measurements, similar films, and the results as files. */

import { json } from "./api.js";
import { byId, element } from "./element.js";
import { labelName, measured, share, structureName } from "./names.js";

const FILES = {
  segmentation: "Masks (DICOM Segmentation)",
  report: "Structured report (DICOM SR)",
  document: "Report to print (PDF)",
};

/** Measurements with their units. */
export function showMeasurements(result) {
  const rows = Object.entries(result.reading.measurements);
  byId("measurements-section").hidden = !rows.length;
  byId("measurements").replaceChildren(element("dl", { class: "facts" }, rows.map(([name, { value, unit }]) => [
    element("dt", {}, structureName(name)), element("dd", {}, measured(value, unit)),
  ])));
}

/** Links to the files, to the viewer where there is one, and who read the film. */
export function showFiles(result) {
  const { version, encoder, adapters } = result.reading.model;
  const links = Object.entries(FILES).filter(([kind]) => result.files?.[kind])
    .map(([kind, name]) => element("li", {}, element("a", { href: result.files[kind], download: true }, name)));
  const viewer = result.viewer
    && element("a", { class: "main", href: result.viewer, target: "_blank", rel: "noopener" }, "Open in OHIF");
  byId("results").replaceChildren(...[
    viewer,
    element("ul", { class: "links" }, links),
    delivery(result.delivery),
    element("p", { class: "quiet" }, `Read by raydino ${version}: encoder ${encoder.slice(0, 8)}, `
      + `${adapters.map((one) => `${one.task} ${one.fingerprint.slice(0, 8)}`).join(", ")}.`),
  ].filter(Boolean));
}

function delivery(state) {
  const says = {
    waiting: "On the way to the archive.",
    done: "Stored in the archive.",
    failed: "The archive did not take the results; the service says why in its log.",
  }[state];
  return says && element("p", {}, says);
}

/** Films of the feature index that are most like this one. isCurrent(): whether the film is still the one shown. */
export async function showSimilar(result, isCurrent) {
  byId("similar-section").hidden = true;
  if (!result.similar) return;
  let films = [];
  try {
    ({ films } = await json(result.similar));
  } catch {
    return; // what was found of this film is worth more than a message in its place
  }
  if (!isCurrent()) return;
  byId("similar-section").hidden = !films.length;
  byId("similar").replaceChildren(...films.map((film, n) => element("li", {},
    film.picture
      ? element("img", { src: film.picture, alt: `Similar film ${n + 1}`, loading: "lazy" })
      : element("div", { class: "no-picture" }, "no picture"),
    element("p", {}, labels(film.labels)),
    element("p", { class: "quiet" }, `Similarity ${share(film.similarity)}`))));
}

function labels(all) {
  const present = Object.keys(all).filter((label) => all[label] === 1).map(labelName);
  if (present.length) return present.join(", ");
  return Object.values(all).some((value) => value === 0) ? "none of its labels present" : "labels not known";
}
