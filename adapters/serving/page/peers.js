/** How well the model does for patients like this one: the audit's figures for the groups this patient is in. */

import { element } from "./element.js";
import { groupName, metricName, share } from "./names.js";

const FIRST = ["sensitivity", "specificity", "auroc"]; // then whatever else the audit has

/** What to put under the probability of `label`; peers: the service's records for it, or undefined without an audit. */
export function peersOf(label, peers) {
  if (!peers?.length) return element("p", { class: "quiet" }, "How well the model does for patients like this one: not told.");
  const groups = grouped(peers);
  return element("details", { class: "peers" },
    element("summary", {}, element("span", {}, "Patients like this one: "), inShort(groups)),
    table(label, groups));
}

/** [{name, records by metric}], in the order given. */
function grouped(peers) {
  const groups = new Map();
  for (const peer of peers) {
    const name = groupName(peer.axis, peer.stratum);
    if (!groups.has(name)) groups.set(name, { name, all: peer.axis === "all", metrics: new Map() });
    groups.get(name).metrics.set(peer.metric, peer);
  }
  return [...groups.values()];
}

/** The smallest group that is large enough to be told of: it is the most like this patient. */
function inShort(groups) {
  const size = (group) => Math.min(...[...group.metrics.values()].map((peer) => peer.n_images));
  const told = groups.filter((group) => [...group.metrics.values()].some(isTold));
  if (!told.length) return element("span", { class: "few" }, "too few to say");
  const nearest = told.reduce((a, b) => (size(b) < size(a) ? b : a));
  const figures = ordered(nearest.metrics).slice(0, FIRST.length)
    .map((metric) => `${metricName(metric)} ${figure(nearest.metrics.get(metric))}`);
  return element("span", {}, `${nearest.name}, ${size(nearest)} films. ${figures.join(", ")}`);
}

function table(label, groups) {
  const metrics = ordered(new Set(groups.flatMap((group) => [...group.metrics.keys()])));
  const heads = ["Group", "Films", "with it", ...metrics.map(metricName)];
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${label}: figures by group` },
    element("table", {},
      element("caption", {}, "Estimate and 95 % interval in the audit's films. A figure of a group does not say how sure this film is."),
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, groups.map((group) => groupRow(group, metrics)))));
}

function groupRow({ name, metrics }, columns) {
  const [first] = metrics.values();
  return element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", {}, `${first.n_images}`, element("small", {}, ` of ${first.n_patients} patients`)),
    element("td", {}, `${first.n_positive}`),
    columns.map((metric) => element("td", {}, ...cell(metrics.get(metric)))));
}

function cell(peer) {
  if (!peer) return ["–"];
  if (isTold(peer)) return [figure(peer)];
  return [element("span", { class: "few" }, figure(peer)), peer.reason ? element("small", {}, ` ${peer.reason}`) : null].filter(Boolean);
}

const isTold = (peer) => peer.status === "ok" && peer.estimate !== null;

function figure(peer) {
  if (!isTold(peer)) return peer.status === "too_few" ? "too few to say" : "cannot be said";
  const interval = peer.ci_low === null || peer.ci_high === null ? "" : ` (${share(peer.ci_low)}–${share(peer.ci_high)})`;
  return `${share(peer.estimate)}${interval}`;
}

function ordered(metrics) {
  const names = [...(metrics.keys?.() ?? metrics)];
  return [...FIRST.filter((name) => names.includes(name)), ...names.filter((name) => !FIRST.includes(name))];
}
