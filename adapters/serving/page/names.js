/** How names of labels, structures, axes and figures are written on the page. */

const METRICS = { auroc: "AUROC", ppv: "PPV" };
const UNITS = { 1: "", "%": "%" };

const spaced = (name) => name.replaceAll("_", " ");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const labelName = (label) => spaced(label);
export const structureName = (structure) => capital(spaced(structure));
export const metricName = (metric) => METRICS[metric] ?? capital(spaced(metric));

const CROSSED = " × "; // between crossed axes and between their strata

/** "everyone", or the stratum with its axes: "sex F, age 40–59". */
export function groupName(axis, stratum) {
  if (axis === "all") return "everyone";
  const strata = stratum.split(CROSSED);
  return axis.split(CROSSED).map((one, n) => `${spaced(one)} ${strata[n]}`).join(", ");
}

/** A measured value with its UCUM unit; 1 is no unit. */
export const measured = (value, unit) => `${Number(value.toPrecision(3))} ${UNITS[unit] ?? unit}`.trim();

/** A share or probability with two digits; what is all but nothing or all but sure is not called 0 or 1. */
export function share(value) {
  if (value > 0 && value < 0.005) return "< 0.01";
  if (value < 1 && value >= 0.995) return "> 0.99";
  return value.toFixed(2);
}
