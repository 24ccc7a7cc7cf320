/** Findings: a word, a figure, a bar from 0 to 1 with a tick at the operating point, and how well the model does. */

import { byId, element } from "./element.js";
import { labelName, share } from "./names.js";
import { peersOf } from "./peers.js";

const WORDS = { present: "called, ≥", absent: "not called, <" };

/** Show the findings of `result`, in the order that the page's select says. */
export function showFindings(result) {
  const given = Object.entries(result.reading.findings);
  byId("findings-section").hidden = !given.length;
  const rows = ordered(given).map(([label, finding]) => row(label, finding, result.peers[label]));
  byId("findings").replaceChildren(...rows);
  byId("order").onchange = () => showFindings(result);
}

function ordered(findings) {
  if (byId("order").value === "given") return findings;
  return findings.toSorted(([, a], [, b]) => b.probability - a.probability);
}

function row(label, finding, peers) {
  const point = finding.threshold;
  const word = point === null ? "no operating point" : `${WORDS[finding.called]} ${share(point)}`;
  return element("li", { "data-called": finding.called ?? "none" },
    element("div", { class: "finding" },
      element("h3", {}, labelName(label)),
      element("p", {},
        element("span", { class: "word" }, word), " ",
        element("span", { class: "figure" }, share(finding.probability)))),
    bar(finding.probability, point),
    peersOf(label, peers));
}

/** Beside it the same stands in words, so a screen reader passes it over. */
function bar(probability, point) {
  const made = element("div", { class: "bar", "aria-hidden": "true" }, element("span", { class: "length" }));
  made.style.setProperty("--probability", probability);
  if (point !== null) {
    made.append(element("span", { class: "tick" }));
    made.style.setProperty("--point", point);
  }
  return made;
}
