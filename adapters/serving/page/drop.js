/** Files dropped anywhere on the page, chosen by the button, or pasted. */

import { byId } from "./element.js";

/** Call take(files) with what is given. */
export function connectDrop(take) {
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // dragenter and dragleave come for every element that is crossed
  const show = (by) => {
    depth = Math.max(0, depth + by);
    byId("drop").hidden = depth === 0;
  };
  window.addEventListener("dragenter", (event) => holdsFiles(event) && show(1));
  window.addEventListener("dragleave", (event) => holdsFiles(event) && show(-1));
  window.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(-depth);
    take([...event.dataTransfer.files]);
  });
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", () => {
    take([...byId("files").files]);
    byId("files").value = ""; // the same file may be chosen again
  });
}
