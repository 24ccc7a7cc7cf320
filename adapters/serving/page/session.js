/** Signing in and out, where the service asks for its token. The session itself is a cookie that no script can read. */

import { login, logout } from "./api.js";
import { byId } from "./element.js";

/** Connect the form. begun(): somebody has signed in. */
export function connectSession(begun) {
  byId("login").addEventListener("submit", async (event) => {
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
    askForToken(false);
    byId("sign-out").hidden = false;
    begun();
  });
  byId("sign-out").addEventListener("click", async () => {
    await logout().catch(() => {});
    location.replace("/"); // nothing of what was shown stays
  });
}

/** Show the form in place of the room, or the room. */
export function askForToken(needed) {
  const shown = !byId("login").hidden;
  byId("login").hidden = !needed;
  byId("room").hidden = needed;
  if (needed && !shown) byId("token").focus();
}
