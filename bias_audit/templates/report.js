// Sorting, filtering and hints. Without this script the page says the same.
"use strict";
(() => {
  const value = (cell) => {
    const text = (cell.dataset.sort ?? cell.textContent).trim().replace(/^< /, "").replace("−", "-").replaceAll(",", "");
    const number = parseFloat(text);
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1; // what has no figure comes last
  };
  const sort = (table, head, column) => {
    const rising = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => ({ row, place, key: value(row.cells[Math.min(column, row.cells.length - 1)]) }));
    rows.sort((a, b) => {
      if (typeof a.key !== typeof b.key) return compare(a.key, b.key);
      return (rising ? 1 : -1) * compare(a.key, b.key) || a.place - b.place;
    });
    body.append(...rows.map((one) => one.row));
  };
  const filter = (table, number) => {
    const box = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const told = document.createElement("span");
    box.className = "filter";
    input.type = "search";
    input.id = label.htmlFor = "filter-" + number;
    label.textContent = "Show rows with";
    told.setAttribute("role", "status");
    box.append(label, input, told);
    table.parentElement.before(box);
    const rows = [...table.tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, place) => {
        row.hidden = !words.every((word) => texts[place].includes(word));
        shown += row.hidden ? 0 : 1;
      });
      told.textContent = words.length ? shown + " of " + rows.length + " rows" : "";
    });
  };
  document.querySelectorAll("table[data-sortable]").forEach((table, number) => {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head, column));
    });
    if (table.tBodies[0].rows.length > 12) filter(table, number);
  });
  const hint = document.createElement("div");
  hint.id = "hint";
  hint.hidden = true;
  hint.setAttribute("aria-hidden", "true"); // the drawing's label and its table hold the same
  document.body.append(hint);
  document.querySelectorAll("svg g > title").forEach((title) => {
    const group = title.parentElement;
    const text = title.textContent;
    title.remove(); // else the browser would show it a second time
    group.addEventListener("pointermove", (event) => {
      hint.textContent = text;
      hint.hidden = false;
      hint.style.left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8) + "px";
      hint.style.top = Math.min(event.clientY + 14, innerHeight - hint.offsetHeight - 8) + "px";
    });
    group.addEventListener("pointerleave", () => { hint.hidden = true; });
  });
  // a link into a folded part opens it
  const open = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
