// The cards of the images. What names and labels say is only ever set as text, never parsed as HTML.
import { UNKNOWN, typed } from "./labels.js";

const SHOWN = 5; // labels of a card before it is opened

export const percent = (value) => `${(100 * value).toFixed(1)}%`;

export function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

// The labels of an image: the checked ones, else those of the model.
export function labelsOf({ checked, record }) {
  if (checked !== null) return checked;
  if (!record) return [];
  if (record.labels) return record.labels.map((each) => each.label);
  return record.label === UNKNOWN ? [] : [record.label];
}

export class Cards {
  // `told` has the functions removed(picture), again(picture) and checked(picture); `state` has tags, threshold and
  // known(), the labels by how they are typed.
  constructor(list, told, state) {
    Object.assign(this, { list, told, state, made: new Map() });
  }

  // New images come first, in their order.
  add(pictures) {
    this.list.prepend(...pictures.map((picture) => this.make(picture)));
  }

  make(picture) {
    const card = document.getElementById("card").content.firstElementChild.cloneNode(true);
    const find = (selector) => card.querySelector(selector);
    this.made.set(picture, { card, find, rows: new Map(), open: false, fresh: "" });
    find("h3").id = picture.key;
    card.setAttribute("aria-labelledby", picture.key);
    find("h3").append(element("bdi", "", picture.name));
    find("h3").title = picture.name;
    find(".remove").setAttribute("aria-label", `Remove ${picture.name}`);
    find(".remove").addEventListener("click", () => this.remove(picture));
    find(".again").addEventListener("click", () => this.told.again(picture));
    find(".more").addEventListener("click", () => { this.part(picture).open = !this.part(picture).open; this.update(picture); });
    find(".correct").addEventListener("submit", (event) => { event.preventDefault(); this.submit(picture); });
    find(".correct input").addEventListener("input", () => this.ask(picture, ""));
    find(".correct input").setAttribute("aria-label", `${picture.name} shows`);
    find(".forget").addEventListener("click", () => { this.check(picture, null); find(".correct input").focus(); });
    this.update(picture);
    return card;
  }

  part(picture) {
    return this.made.get(picture);
  }

  remove(picture) {
    const { card } = this.part(picture), next = card.nextElementSibling ?? card.previousElementSibling;
    card.remove();
    this.made.delete(picture);
    if (picture.thumbnail) URL.revokeObjectURL(picture.thumbnail);
    this.told.removed(picture);
    (next?.querySelector(".remove") ?? document.getElementById("choose")).focus();
  }

  showThumbnail(picture) {
    const part = this.part(picture);
    if (!part) return;
    const shown = part.find("img");
    shown.hidden = !picture.thumbnail;
    if (picture.thumbnail) shown.src = picture.thumbnail;
    shown.alt = picture.name;
    part.find(".placeholder").textContent = picture.thumbnail ? "" : "no preview";
  }

  update(picture) {
    const part = this.part(picture);
    if (!part) return;
    const { card, find } = part, { record, checked, problem } = picture;
    const labels = labelsOf(picture), isAnswered = record !== null && record !== undefined;
    card.classList.toggle("failed", Boolean(problem));
    card.classList.toggle("checked", checked !== null);
    card.classList.toggle("unknown", isAnswered && !labels.length);
    card.setAttribute("aria-busy", String(Boolean(this.state.waits(picture))));
    find(".answer").hidden = !isAnswered && checked === null;
    find(".answer b").textContent = labels.join(", ") || UNKNOWN;
    find(".answer .number").textContent = this.numberOf(picture, labels);
    find(".state").textContent = isAnswered || problem ? "" : picture.sending ? "Sending …" : this.state.reason();
    find(".problem").hidden = !problem;
    find(".problem").textContent = problem;
    find(".again").hidden = !problem;
    find(".correct").hidden = !isAnswered;
    find(".forget").hidden = checked === null;
    this.bars(picture, part);
  }

  // The probability of the answer, as far as the ranking has it.
  numberOf({ record, checked }, labels) {
    if (!record || (record.labels && labels.length !== 1)) return "";
    if (!labels.length && checked === null) return percent(record.probability);
    const found = record.top.find((score) => score.label === labels[0]);
    return found ? percent(found.probability) : "";
  }

  bars(picture, part) {
    const { find, rows } = part, list = find(".bars"), top = picture.record?.top ?? [];
    const chosen = new Set(labelsOf(picture));
    const focused = list.contains(document.activeElement) ? document.activeElement.dataset.label : undefined;
    const shown = part.open ? top : top.slice(0, SHOWN);
    for (const [label, row] of rows) {
      if (!shown.some((score) => score.label === label)) { row.remove(); rows.delete(label); }
    }
    shown.forEach((score, place) => {
      const row = rows.get(score.label) ?? this.row(picture, rows, score.label);
      if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
      row.querySelector("i").style.width = percent(score.probability);
      row.querySelector(".number").textContent = percent(score.probability);
      row.title = `Similarity ${score.similarity.toFixed(3)}`;
      row.classList.toggle("chosen", chosen.has(score.label));
      row.querySelector("button").setAttribute("aria-pressed", String(chosen.has(score.label)));
      const line = row.querySelector(".line");
      line.hidden = !picture.record.labels;
      line.style.left = percent(this.state.thresholdOf(score.label));
    });
    if (focused !== undefined) rows.get(focused)?.querySelector("button").focus({ preventScroll: true });
    find(".more").hidden = top.length <= SHOWN;
    find(".more").textContent = part.open ? "Show fewer labels" : `Show ${top.length} labels`;
    find(".more").setAttribute("aria-expanded", String(part.open));
  }

  row(picture, rows, label) {
    const row = element("li"), take = element("button", "label plain", label), meter = element("span", "meter");
    take.type = "button";
    take.dataset.label = label;
    take.dir = "auto";
    take.title = "It shows this";
    take.addEventListener("click", () => this.take(picture, label));
    meter.append(element("i"), element("span", "line"));
    meter.setAttribute("aria-hidden", "true");
    row.append(take, " ", element("span", "number"), meter);
    rows.set(label, row);
    return row;
  }

  take(picture, label) {
    const labels = labelsOf(picture);
    if (!picture.record.labels) this.check(picture, [label]);
    else this.check(picture, labels.includes(label) ? labels.filter((each) => each !== label) : [...labels, label]);
  }

  // What is typed may be a slip: a label that is not known is asked for once more.
  submit(picture) {
    const part = this.part(picture), field = part.find(".correct input"), known = this.state.known();
    const text = field.value.trim().replace(/\s+/g, " ");
    if (!text) return;
    const parts = picture.record.labels ? text.split("|").map((each) => each.trim()).filter(Boolean) : [text];
    const unknown = parts.filter((each) => !known.has(typed(each)) && typed(each) !== UNKNOWN);
    if (unknown.length && part.fresh !== text) { this.ask(picture, text, unknown.join(", ")); return; }
    const labels = parts.map((each) => known.get(typed(each)) ?? each).filter((each) => typed(each) !== UNKNOWN);
    this.check(picture, labels);
    field.value = "";
    this.ask(picture, "");
  }

  ask(picture, text, unknown = text) {
    const part = this.part(picture);
    part.fresh = text;
    part.find(".fresh").textContent = text ? `“${unknown}” is not one of the labels. Press Enter again to add it.` : "";
    part.find(".correct button").textContent = text ? "Add label" : "Check";
  }

  check(picture, labels) {
    picture.checked = labels;
    this.update(picture);
    this.told.checked(picture);
  }
}
