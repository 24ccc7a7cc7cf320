/** Light of the page: as the system says, or for a dark or a bright room. Kept in the browser: it tells of nobody. */

import { byId } from "./element.js";

const KEY = "raydino-theme";

export function connectTheme() {
  const select = byId("theme");
  select.value = stored();
  const apply = () => {
    document.documentElement.dataset.theme = select.value;
  };
  select.addEventListener("change", () => {
    apply();
    try {
      localStorage.setItem(KEY, select.value);
    } catch {
      // a browser that stores nothing still shows it
    }
  });
  apply();
}

function stored() {
  try {
    const value = localStorage.getItem(KEY);
    return ["dark", "light"].includes(value) ? value : "";
  } catch {
    return "";
  }
}
