/** How well the model does for patients like this one: the audit's figures for the groups this patient is in. */

import { element } from "./element.js";
import { groupName, metricName } from "./names.js";

const UNTOLD = { too_few: "too few to say", suppressed: "withheld by the audit" };
const UNAUDITED = "How well the model does for patients like this one: not told.";
const OF_GROUPS = "Estimate and 95 % interval over the audit's films. They tell of the group, not of this film.";
const FIRST = ["sensitivity", "specificity", "auroc"]; // then whatever else the audit has

/** What to put under the probability of `label`; peers: the service's records for it, or undefined without an audit. */
export function peersOf(label, peers) {
  if (!peers?.length) return element("p", { class: "quiet" }, UNAUDITED);
  const groups = grouped(peers);
  return element("details", { class: "peers" },
    element("summary", {}, element("span", { class: "link" }, "Patients like this one"), ...inShort(groups)),
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
  const told = groups.filter((group) => [...group.metrics.values()].some(isTold));
  if (!told.length) return [": ", element("span", { class: "few" }, "too few to say")];
  const size = (group) => first(group).n_images ?? Infinity; // which the audit may have withheld
  const nearest = told.reduce((a, b) => (size(b) < size(a) ? b : a));
  const { n_images, n_positive } = first(nearest);
  const metrics = FIRST.filter((metric) => nearest.metrics.has(metric));
  const figures = metrics.map((metric) => element("span", { class: "peer" },
    element("span", {}, `${metricName(metric)} `), ...figure(nearest.metrics.get(metric))));
  const who = `: ${nearest.name}; ${count(n_images)} films, ${count(n_positive)} with it. `;
  return [who, element("span", { class: "figures" }, figures)];
}

function table(label, groups) {
  const metrics = ordered(new Set(groups.flatMap((group) => [...group.metrics.keys()])));
  const heads = ["Group", ...metrics.map(metricName)];
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${label}: figures by group` },
    element("p", { class: "quiet" }, OF_GROUPS),
    element("table", {},
      element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, groups.map((group) => groupRow(group, metrics)))));
}

function groupRow(group, columns) {
  const { n_images, n_patients, n_positive } = first(group);
  const counts = ` ${count(n_images)} films of ${count(n_patients)} patients, ${count(n_positive)} with it`;
  return element("tr", {},
    element("th", { scope: "row" }, group.name, element("small", {}, counts)),
    columns.map((metric) => element("td", {}, ...cell(group.metrics.get(metric)))));
}

function cell(peer) {
  if (!peer) return ["–"];
  return isTold(peer) || !peer.reason ? figure(peer) : [...figure(peer), element("small", {}, ` ${peer.reason}`)];
}

const count = (number) => number ?? "?";
const first = (group) => group.metrics.values().next().value;
const isTold = (peer) => peer.status === "ok" && peer.estimate !== null;

/** The estimate and its interval, or why there is none. */
function figure(peer) {
  if (!isTold(peer)) return [element("span", { class: "few" }, UNTOLD[peer.status] ?? "cannot be said")];
  const known = peer.ci_low !== null && peer.ci_high !== null;
  const interval = known ? `${peer.ci_low.toFixed(2)}–${peer.ci_high.toFixed(2)}` : "no interval";
  return [element("b", {}, peer.estimate.toFixed(2)), element("small", {}, ` ${interval}`)];
}

function ordered(metrics) {
  const names = [...(metrics.keys?.() ?? metrics)];
  return [...FIRST.filter((name) => names.includes(name)), ...names.filter((name) => !FIRST.includes(name))];
}
