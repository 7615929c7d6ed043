// Talks to the server that the page came from, and to no other.

const KEPT = "clipcli token"; // for this tab only

// What a request failed with. `kind` is the server's type, or "offline" if no answer came.
export class Refusal extends Error {
  constructor(kind, message, status = 0, wait = 0) {
    super(message);
    Object.assign(this, { kind, status, wait }); // wait: seconds until another try makes sense
  }
}

export function setToken(token) {
  sessionStorage.setItem(KEPT, token);
}

export const hasToken = () => sessionStorage.getItem(KEPT) !== null;

function authorization() {
  const token = sessionStorage.getItem(KEPT);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function request(path, init = {}) {
  let answer, text;
  try {
    answer = await fetch(path, { ...init, headers: { ...authorization(), ...init.headers } });
    text = await answer.text(); // which may be aborted, or cut off, like the request
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refusal("offline", "The server does not answer.");
  }
  const body = parsed(text);
  if (answer.ok && body !== null) return body;
  const { type = "internal", message = `The server answered with ${answer.status}.` } = body?.error ?? {};
  throw new Refusal(type, message, answer.status, Number(answer.headers.get("Retry-After")) || 0);
}

const asJson = (value) => ({ method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });

export const health = () => request("/v1/health");
export const serverLabels = () => request("/v1/labels");
export const serverModels = () => request("/v1/models");

// Rank images whose embeddings the server has.
export const rank = (ids, options, signal) =>
  request("/v1/classify", { ...asJson({ ...options, images: ids.map((id) => ({ id })) }), signal });

// Send image files and rank them.
export function upload(pictures, options) {
  const form = new FormData();
  form.append("options", JSON.stringify(options));
  for (const { file, name } of pictures) form.append("image", file, name);
  return request("/v1/classify", { method: "POST", body: form });
}
