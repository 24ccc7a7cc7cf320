/** The service's HTTP interface. Whatever goes wrong is a ServiceError whose message can be shown as it is. */

const SAYS = {
  0: "The service cannot be reached.",
  401: "The service asks for its token.",
  404: "The service does not know this film.",
  413: "This file is larger than the service takes.",
  429: "Too many requests in a short time.",
  503: "The service is full.",
};

export class ServiceError extends Error {
  /** status: of HTTP, 0 where there was no answer; retryAfter: seconds the service asks to wait, or null. */
  constructor(status, detail, retryAfter = null) {
    super(detail || SAYS[status] || `The service answered with error ${status}.`);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may go well later. */
  get passes() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

/** The parsed JSON at `path`. */
export async function json(path) {
  const answer = await ask(path);
  return answer.json();
}

/** The ArrayBuffer at `path`. */
export async function bytes(path) {
  const answer = await ask(path);
  return answer.arrayBuffer();
}

/** Open a session; the token travels in the body alone. */
export function login(token) {
  return ask("/login", {
    method: "POST",
    headers: { "X-Raydino": "1" },
    body: new URLSearchParams({ token }),
  });
}

/** End it. */
export function logout() {
  return ask("/logout", { method: "POST", headers: { "X-Raydino": "1" } });
}

/**
 * Send one film and give its job. progress(share) is called with 0..1 while it goes.
 *
 * By XMLHttpRequest, since fetch tells no progress of what it sends. The file's own name stays here: names of films
 * often hold the patient's.
 */
export async function send(file, progress) {
  const form = new FormData();
  form.append("files", await contentOf(file), "film.dcm");
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/studies");
    request.setRequestHeader("X-Raydino", "1");
    request.upload.addEventListener("progress", (event) => progress(event.total ? event.loaded / event.total : 0));
    request.addEventListener("error", () => failed(new ServiceError(0)));
    request.addEventListener("load", () => {
      const answer = parsed(request.responseText);
      const job = answer.jobs && answer.jobs[0];
      if (request.status === 202 && job) done(job);
      else failed(errorOf(request.status, answer, request.getResponseHeader("Retry-After")));
    });
    request.send(form);
  });
}

/** Read first: a file that is gone looks like a service that is gone once it is being sent. */
async function contentOf(file) {
  try {
    return new Blob([await file.arrayBuffer()]);
  } catch {
    throw new ServiceError(400, "The browser cannot read this file.");
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new ServiceError(0);
  }
  if (!answer.ok) {
    throw errorOf(answer.status, parsed(await answer.text()), answer.headers.get("Retry-After"));
  }
  return answer;
}

function errorOf(status, answer, retryAfter) {
  const seconds = Number.parseFloat(retryAfter);
  const detail = typeof answer.detail === "string" ? answer.detail : null;
  return new ServiceError(status, detail, Number.isFinite(seconds) ? seconds : null);
}

/** A proxy's error page is no JSON; then nothing is known but the status. */
function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
