// What the page says about itself and the server: the banner, the connection, the token, and news for screen readers.
import { health, setToken } from "./api.js";

const AWAY = 3; // seconds between looks for a server that does not answer
const byId = (id) => document.getElementById(id);

let spoken = 0;
// For screen readers: one sentence when everything is ranked, not one per image.
export function announce(text) {
  clearTimeout(spoken);
  spoken = setTimeout(() => { byId("live").textContent = text; }, 150);
}

export function connection(text) {
  byId("connection").textContent = text;
}

export function banner(text, isOffline = false) {
  byId("banner").hidden = !text;
  byId("banner-text").textContent = text;
  byId("reconnect").hidden = !isOffline;
}

let away = null; // resolves when the server is back
let look = () => {}; // looks at once

export function offline() {
  away ??= (async () => {
    banner("The server does not answer. The page continues when it is back.", true);
    connection("offline");
    for (;;) {
      await new Promise((done) => { look = done; setTimeout(done, 1000 * AWAY); });
      const answer = await health().catch(() => null);
      if (answer?.status === "ok") break;
    }
    banner("");
    connection("");
    away = null;
  })();
  return away;
}

let asking = null; // resolves when a token was typed

export function unauthorized() {
  asking ??= new Promise((done) => {
    byId("token").value = "";
    byId("ask-token").showModal();
    byId("token-form").onsubmit = (event) => {
      event.preventDefault();
      setToken(byId("token").value.trim());
      byId("ask-token").close();
      asking = null;
      done();
    };
  });
  return asking;
}

// Ask for something until there is an answer.
export async function insist(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (problem) {
      if (problem.kind === "unauthorized") await unauthorized();
      else await offline();
    }
  }
}

byId("reconnect").addEventListener("click", () => look());
byId("ask-token").addEventListener("cancel", (event) => event.preventDefault());
