/**
 * The draft report: editable, unverified, with the sentences marked that speak against the findings.
 *
 * What is edited is kept by film while the page is open and nowhere else. A text area can mark nothing in its text, so
 * the same text lies behind it, transparent but for its marks, and gives it its height.
 */

import { byId, element } from "./element.js";
import { labelName } from "./names.js";

const edits = new Map(); // job id → text
const NOTICE = "Unverified draft. Research use only, never a diagnosis.";

/** Whether anything was edited that leaving the page would lose. */
export const hasEdits = () => edits.size > 0;

/** Show the draft of `result`, as it was edited here or as the model wrote it. */
export function showDraft(result) {
  const { draft } = result.reading;
  byId("draft-section").hidden = !draft;
  if (!draft) return;
  const contradictions = draft.contradictions.map((one, n) => ({ ...one, number: n + 1 }));
  const behind = element("div", { class: "behind", "aria-hidden": "true" });
  const text = textArea();
  const told = element("ul", { id: "against", "aria-label": "Sentences against the findings" });
  const edited = element("p", { class: "quiet", role: "status" });
  const show = () => {
    const left = mark(behind, text.value, contradictions);
    told.replaceChildren(...contradictions.map((one) => toldOf(one, left.has(one), text)));
    edited.textContent = text.value === draft.text ? "" : "Edited here; kept only while this page is open.";
  };
  const set = (value) => {
    if (value === draft.text) edits.delete(result.id);
    else edits.set(result.id, value);
    text.value = value;
    show();
  };
  text.value = edits.get(result.id) ?? draft.text;
  text.addEventListener("input", () => set(text.value));
  const back = element("button", { type: "button", onclick: () => set(draft.text) }, "Back to the model's text");
  byId("draft").replaceChildren(
    element("div", { class: "paper" }, behind, text),
    told,
    element("div", { class: "buttons" }, copyButton(text), back),
    edited,
  );
  show();
}

const textArea = () => element("textarea", {
  id: "draft-text",
  spellcheck: "false",
  "aria-label": "Draft report, unverified",
  "aria-describedby": "against",
});

/** Write `text` behind the text area, its contradicted sentences marked; the contradictions that are still in it. */
function mark(behind, text, contradictions) {
  const places = [];
  let from = 0;
  for (const one of contradictions) {
    const known = places.find((place) => place.sentence === one.sentence);
    if (known) {
      known.of.push(one);
      continue;
    }
    let start = text.indexOf(one.sentence, from);
    if (start < 0) start = text.indexOf(one.sentence);
    if (start < 0) continue;
    places.push({ start, sentence: one.sentence, of: [one] });
    from = start + one.sentence.length;
  }
  places.sort((a, b) => a.start - b.start);
  const parts = [];
  let end = 0;
  for (const { start, sentence, of } of places) {
    if (start < end) continue;
    const numbers = of.map((one) => one.number).join(" ");
    parts.push(text.slice(end, start), element("mark", { "data-number": numbers }, sentence));
    end = start + sentence.length;
  }
  behind.replaceChildren(...parts, `${text.slice(end)}\n`);
  return new Set(places.flatMap((place) => place.of));
}

/** One contradiction: its number, the finding, why; a press selects its sentence. */
function toldOf({ number, sentence, label, reason }, isThere, text) {
  const select = () => {
    const start = text.value.indexOf(sentence);
    text.focus();
    text.setSelectionRange(start, start + sentence.length);
  };
  const quoted = `“${sentence}”`;
  return element("li", { class: isThere ? "" : "gone" },
    element("span", { class: "number" }, `${number}`),
    isThere ? element("button", { type: "button", class: "quote", onclick: select }, quoted) : element("s", {}, quoted),
    element("span", {}, ` ${labelName(label)}: ${reason}`),
    isThere ? null : element("span", { class: "quiet" }, " (no longer in the text)"));
}

function copyButton(text) {
  const button = element("button", { type: "button", class: "main", onclick: async () => {
    const copied = `${NOTICE}\n\n${text.value}\n`;
    button.textContent = (await copy(copied)) ? "Copied" : "Not copied: press Ctrl+C in the text";
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  } }, "Copy");
  return button;
}

/** Put `text` on the clipboard; whether it went. Browsers give the clipboard's interface to secure origins alone. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const carrier = element("textarea", { class: "sr", "aria-hidden": "true" });
    carrier.value = text;
    document.body.append(carrier);
    carrier.select();
    const went = document.execCommand("copy");
    carrier.remove();
    return went;
  }
}
