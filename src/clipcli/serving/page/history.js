// The labels and settings of this session. They outlive a reload of the page, in this tab only; images do not.
import { element } from "./cards.js";
import { inWords, sameSettings } from "./labels.js";

const KEPT = "clipcli page", MOST = 50;
const SETTLED = 3000; // milliseconds after which settings count as meant, not as typed on the way

export class History {
  constructor(list, count, use) {
    Object.assign(this, { list, count, use, entries: [], draft: null });
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT));
      if (Array.isArray(kept?.entries)) Object.assign(this, { entries: kept.entries, draft: kept.draft ?? null });
    } catch { /* no storage, or not ours */ }
    this.show();
  }

  // Note what the last answer was made with; `labels` is the number of labels, `images` the number of images.
  note(settings, labels, images) {
    const now = Date.now(), [last] = this.entries;
    if (last && sameSettings(last.settings, settings)) Object.assign(last, { images });
    else {
      const isDraft = last && !last.isMeant && now - last.time < SETTLED;
      const others = this.entries.slice(isDraft ? 1 : 0).filter((each) => !sameSettings(each.settings, settings));
      this.entries = [{ settings, labels, images, time: now }, ...others].slice(0, MOST);
    }
    this.keep();
    this.show();
  }

  keep(draft = this.draft) {
    this.draft = draft;
    try {
      sessionStorage.setItem(KEPT, JSON.stringify({ entries: this.entries, draft }));
    } catch { /* the page works without */ }
  }

  show() {
    this.count.textContent = this.entries.length ? `(${this.entries.length})` : "";
    const rows = this.entries.map((entry, place) => {
      const row = element("li"), take = element("button", "entry", "");
      take.type = "button";
      take.append(
        element("span", "soft", new Date(entry.time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })), " ",
        element("bdi", "", inWords(entry.settings, entry.labels)), " ",
        element("span", "soft", `· ${entry.images} ${entry.images === 1 ? "image" : "images"}`),
      );
      if (place === 0) take.setAttribute("aria-current", "true");
      take.addEventListener("click", () => { this.entries[0].isMeant = true; this.use(entry.settings); });
      row.append(take);
      return row;
    });
    this.list.replaceChildren(...(rows.length ? rows : [element("li", "soft", "Labels and settings that you have used appear here.")]));
  }
}
