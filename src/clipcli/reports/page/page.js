"use strict";
// What names and labels say is only ever set as text, never parsed as HTML.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const UNKNOWN = "unknown";
const BARS = 20;
const CHART_DOTS = 200; // per inch, of charts that are PNG
const HEADING_HEIGHT = 44, LEAST_TILE = 156, USUAL_TILE = 200, AHEAD = 400;
const WORDS_HEIGHT = data.truth ? 88 : 70; // below the picture of a tile, with the gap to the next

// --- records -------------------------------------------------------------------------------------------

const records = data.records.map(([path, label, probability, ranking, group, truth, linked, tags], index) => {
  if (probability === undefined) return { index, path, failed: label, label: "", probability: 0, margin: 0, ranking: [], group: "", truth: "" };
  const top = [];
  for (let at = 0; at < ranking.length; at += 3) {
    top.push({ label: data.labels[ranking[at]], probability: ranking[at + 1], similarity: ranking[at + 2] });
  }
  const margin = probability - (top.length > 1 ? top[1].probability : 0);
  const several = tags?.map((place) => data.labels[place]).join("|");
  return {
    index, path, failed: null, label: tags ? several || UNKNOWN : data.labels[label], probability, margin, ranking: top,
    group: group < 0 ? "" : data.groups[group], truth: truth < 0 ? "" : [truth].flat().map((place) => data.labels[place]).join("|"), linked,
  };
});
const checked = new Map(data.checked.map(([index, label]) => [index, data.labels[label]])); // by hand, by index of a record

// With tags, the label of an image is all of them, as in a table of labels: "cat|outdoor".
const labelsIn = (label) => (data.tags ? label.split("|").map((each) => each.trim()).filter(Boolean) : [label]);
const inWords = (label) => labelsIn(label).join(", ");
const TRUTH_IS = data.tags ? "true labels" : "true class";
const shownLabel = (record) => checked.get(record.index) ?? record.label;
// Names are compared by their composed letters: systems write é in different ways.
const key = (name) => name.normalize("NFC");
// Labels as people type them: case and spaces do not matter.
const typed = (name) => key(name).trim().toLowerCase().replace(/\s+/g, " ");
const spelt = new Map();
const single = data.labels.filter((label) => !data.tags || !label.includes("|"));
for (const label of [...single, UNKNOWN]) if (!spelt.has(typed(label))) spelt.set(typed(label), label);
// As people sort names: 2 before 10, and b after A.
const collator = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
const percent = (value) => `${(100 * value).toFixed(1)}%`;

// Thumbnails stand in blocks after this script, so that the page is there before they are read.
const blocks = new Map();
function thumbnail(index) {
  const number = Math.floor(index / data.chunk);
  if (!blocks.has(number)) {
    const block = byId(`thumbnails-${number}`);
    if (!block) return document.readyState === "loading" ? null : "";
    // The last block that was parsed may still be growing.
    if (document.readyState === "loading" && !block.nextElementSibling) return null;
    blocks.set(number, block.textContent.split("\n"));
  }
  const found = blocks.get(number)[index % data.chunk];
  return found ? `data:image/webp;base64,${found}` : "";
}

// --- choosing and sorting ------------------------------------------------------------------------------

const sameLabels = (one, other) => one === other || (data.tags && labelsIn(one).sort().join("|") === labelsIn(other).sort().join("|"));
const isWrong = (record) => record.truth !== "" && !sameLabels(record.label, record.truth);
// Images that may have the wrong label, the surest first: there the model contradicts the truth. Then what is least
// certain: low in probability, or near to the second label. Failures come last.
function first(a, b) {
  if ((a.failed === null) !== (b.failed === null)) return a.failed === null ? -1 : 1;
  if (isWrong(a) !== isWrong(b)) return isWrong(a) ? -1 : 1;
  const difference = a.probability + a.margin - (b.probability + b.margin);
  return isWrong(a) ? -difference : difference;
}

// A fixed number for each record, spread evenly: its order is a random sample, and the same each time.
function shuffled(index) {
  let mixed = Math.imul(index + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const orders = {
  first,
  random: (a, b) => shuffled(a.index) - shuffled(b.index),
  given: (a, b) => a.index - b.index,
  unsure: (a, b) => a.probability - b.probability,
  sure: (a, b) => b.probability - a.probability,
  narrow: (a, b) => a.margin - b.margin,
  clear: (a, b) => b.margin - a.margin,
  name: (a, b) => byName(a.path, b.path),
};
const kinds = {
  "": () => true,
  named: (record) => !record.failed && record.label !== UNKNOWN,
  unknown: (record) => record.label === UNKNOWN,
  wrong: isWrong,
  failed: (record) => record.failed !== null,
  checked: (record) => checked.has(record.index),
};

let visible = []; // the records that are chosen, in their order
let rows = []; // what stands under each other: {top, heading} or {top, from, to}, places in `visible`
let columns = 1;
let current = -1; // place in `visible` of the tile that keys act on; none at the start
let tileHeight = 0;

function bounds() {
  const least = Number(byId("least").value), most = Number(byId("most").value);
  return [Math.min(least, most) / 100, Math.max(least, most) / 100];
}

function choose() {
  const [least, most] = bounds();
  const words = key(byId("search").value.toLowerCase()), label = byId("label").value, group = byId("group").value;
  const isKind = kinds[byId("kind").value], whole = least === 0 && most === 1;
  const before = visible[current];
  visible = records.filter((record) =>
    isKind(record)
    && (whole || (!record.failed && record.probability >= least && record.probability <= most))
    && (!label || labelsIn(shownLabel(record)).includes(label))
    && (!group || record.group === group)
    && (!words || key(record.path.toLowerCase()).includes(words)));
  const heading = byId("heading").value, order = orders[byId("order").value];
  const headed = heading === "group" ? (record) => record.group : shownLabel;
  visible.sort(heading
    ? (a, b) => byName(headed(a), headed(b)) || order(a, b) || a.index - b.index
    : (a, b) => order(a, b) || a.index - b.index);
  current = before ? visible.indexOf(before) : -1;
  byId("count").textContent = `${visible.length.toLocaleString()} of ${records.length.toLocaleString()}`;
  byId("least").style.zIndex = least > 0.5 ? 1 : 0; // of two handles in one place, the one that can move is on top
  byId("span").style.left = percent(least);
  byId("span").style.right = percent(1 - most);
  byId("range").textContent = whole ? "" : `${Math.round(100 * least)} to ${Math.round(100 * most)} %`;
  byId("histogram").querySelectorAll("button").forEach((bar, place) => {
    const middle = (place + 0.5) / BARS;
    bar.classList.toggle("outside", middle < least || middle > most);
  });
  arrange(heading ? headed : null);
}

// --- the grid: only what is in view is in the page -----------------------------------------------------

const grid = byId("grid");

function arrange(headed) {
  const width = grid.clientWidth + 12;
  const tile = width < 520 ? LEAST_TILE : USUAL_TILE;
  columns = Math.max(1, Math.floor(width / tile));
  grid.style.setProperty("--tile", `${Math.floor(width / columns)}px`);
  tileHeight = Math.round(0.8 * Math.floor(width / columns)) + WORDS_HEIGHT;
  grid.style.setProperty("--high", `${tileHeight - 12}px`);
  rows = [];
  let top = 0;
  for (let from = 0; from < visible.length;) {
    let end = visible.length;
    if (headed) {
      const name = headed(visible[from]);
      end = from;
      while (end < visible.length && headed(visible[end]) === name) end += 1;
      rows.push({ top, heading: name || "failed", count: end - from });
      top += HEADING_HEIGHT;
    }
    for (; from < end; from += columns) {
      rows.push({ top, from, to: Math.min(from + columns, end) });
      top += tileHeight;
    }
    from = end;
  }
  grid.style.height = `${Math.max(top, 120)}px`;
  grid.replaceChildren();
  drawn.clear();
  if (!visible.length) grid.append(element("p", "empty", "Nothing fits these filters."));
  draw();
}

const drawn = new Map(); // row number -> its elements

function firstRow(position) {
  let low = 0, high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + tileHeight < position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function draw() {
  const start = -grid.getBoundingClientRect().top - AHEAD, end = start + window.innerHeight + 2 * AHEAD;
  const first = firstRow(start);
  let last = first;
  while (last < rows.length && rows[last].top < end) last += 1;
  for (const [number, elements] of drawn) {
    if (number < first || number >= last) {
      elements.forEach((each) => each.remove());
      drawn.delete(number);
    }
  }
  for (let number = first; number < last; number += 1) {
    if (!drawn.has(number)) {
      const elements = rows[number].heading === undefined ? tilesOf(rows[number]) : [headingOf(rows[number])];
      grid.append(...elements);
      drawn.set(number, elements);
    }
  }
}

function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

function headingOf(row) {
  const made = element("h2");
  made.append(element("bdi", "", inWords(row.heading)), " ", element("small", "", row.count.toLocaleString()));
  made.style.top = `${row.top}px`;
  return made;
}

function tilesOf(row) {
  const width = (grid.clientWidth + 12) / columns;
  return Array.from({ length: row.to - row.from }, (_, place) => {
    const made = tileOf(row.from + place);
    made.style.top = `${row.top}px`;
    made.style.left = `${place * width}px`;
    return made;
  });
}

function tileOf(place) {
  const record = visible[place], label = shownLabel(record), mine = checked.has(record.index);
  const made = element("div", "tile");
  made.setAttribute("role", "listitem");
  made.id = `tile-${record.index}`;
  made.classList.toggle("current", place === current);
  made.classList.toggle("unknown", label === UNKNOWN);
  made.classList.toggle("failed", record.failed !== null);
  made.classList.toggle("checked", mine);
  const frame = element("div", "frame");
  fill(frame, record);
  const words = element("div", "words");
  const line = element("div", "line");
  line.append(element("b", "", data.hits ? `${record.index + 1}.` : record.failed !== null && !mine ? "failed" : inWords(label)));
  const probability = probabilityOf(record, label);
  if (probability !== undefined) line.append(element("span", "", data.hits ? probability.toFixed(3) : percent(probability)));
  words.append(line);
  if (data.truth) words.append(element("small", "truth", record.truth && !sameLabels(label, record.truth) ? `${TRUTH_IS}: ${inWords(record.truth)}` : ""));
  words.append(record.failed === null ? shortName(names[record.index]) : element("small", "", record.failed));
  const meter = element("span", "meter"), part = element("i");
  part.style.width = percent(probability ?? 0);
  meter.append(part);
  made.append(frame, meter, words);
  made.title = data.hits ? record.path : `${record.path}\n${record.failed ?? inWords(label)}`; // in full, however long
  made.addEventListener("click", () => { moveTo(place); open(); });
  return made;
}

// The probability of the label that is shown: of another label than the model's, as far as the ranking has it.
function probabilityOf(record, label) {
  if (record.failed !== null) return undefined;
  if (data.tags) return record.ranking.find((score) => score.label === labelsIn(label)[0])?.probability;
  return label === record.label ? record.probability : record.ranking.find((score) => score.label === label)?.probability;
}

function fill(frame, record) {
  const source = thumbnail(record.index);
  if (source === null) {
    setTimeout(() => { if (frame.isConnected) fill(frame, record); }, 100);
  } else if (source) {
    const picture = element("img");
    picture.alt = nameOf(record.path);
    picture.decoding = "async";
    picture.src = source;
    frame.replaceChildren(picture);
  } else {
    frame.textContent = record.failed ? "failed" : "no preview";
  }
}

// What readers see as one letter: an emoji, or a letter with its accents, may be several characters.
const segmenter = Intl.Segmenter && new Intl.Segmenter();
const lettersOf = (name) => segmenter ? Array.from(segmenter.segment(name), ({ segment }) => segment) : Array.from(name);

function shortName(name) {
  // A long name loses its middle: numbers and the extension are at the end.
  const letters = lettersOf(name), made = element("small", "name"), tail = Math.min(10, letters.length >> 1);
  made.dir = "auto"; // the start of a Hebrew or Arabic name is on the right
  made.append(element("span", "start", letters.slice(0, letters.length - tail).join("")));
  made.append(element("span", "end", letters.slice(letters.length - tail).join("")));
  return made;
}

const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);

// Names of images as short as they can be: with folders only where images have the same name.
const names = records.map((record) => nameOf(record.path));
for (let folders = 1, same = records; same.length && folders <= 8; folders += 1) {
  const counts = new Map();
  for (const { index } of same) counts.set(names[index], (counts.get(names[index]) ?? 0) + 1);
  same = same.filter(({ index, path }) => counts.get(names[index]) > 1 && names[index].length < path.length);
  for (const { index, path } of same) names[index] = path.split("/").slice(-1 - folders).join("/");
}

// --- keys ----------------------------------------------------------------------------------------------

function moveTo(place) {
  if (!visible.length) return;
  byId(`tile-${visible[current]?.index}`)?.classList.remove("current");
  current = Math.min(Math.max(place, 0), visible.length - 1);
  const row = rows.find((each) => each.from <= current && current < each.to);
  const top = grid.getBoundingClientRect().top + row.top;
  if (top < 8) window.scrollBy(0, top - 60);
  else if (top + tileHeight > window.innerHeight - 8) window.scrollBy(0, top + tileHeight - window.innerHeight + 20);
  draw();
  const tile = byId(`tile-${visible[current].index}`);
  tile?.classList.add("current");
  if (tile) grid.setAttribute("aria-activedescendant", tile.id);
}

document.addEventListener("keydown", (event) => {
  const within = event.target.closest?.("input, select, button, summary, a, dialog");
  if (event.key === "Escape" && event.target === byId("search")) grid.focus();
  if (within || event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -visible.length, End: visible.length };
  if (event.key in steps) moveTo(current < 0 && event.key !== "End" ? 0 : current + steps[event.key]);
  else if (event.key === "Enter") open();
  else if (event.key === "/") byId("search").focus();
  else return;
  event.preventDefault();
});

// By keyboard, one sees where one is; a click beside the images selects none.
grid.addEventListener("focus", () => { if (current < 0 && grid.matches(":focus-visible")) moveTo(0); });

// --- one image -----------------------------------------------------------------------------------------

const detail = byId("detail");

function open() {
  if (current < 0) return;
  show();
  if (!detail.open) detail.showModal();
  if (!matchMedia("(pointer: coarse)").matches) byId("correction").select(); // on a phone, the keyboard would hide the image
}

function show() {
  const record = visible[current];
  ask("");
  byId("detail-name").textContent = record.path;
  const source = thumbnail(record.index), picture = byId("picture");
  picture.hidden = !source;
  if (source) picture.src = source;
  byId("original").hidden = !source || !record.linked;
  if (record.linked) byId("original").href = addressOf(typeof record.linked === "string" ? record.linked : record.path);
  byId("ranking").replaceChildren(...record.ranking.map((score) => {
    const line = element("tr"), name = element("td"), take = element("button", "", score.label);
    take.type = "button";
    take.title = "It shows this";
    take.classList.toggle("chosen", data.tags && labelsIn(shownLabel(record)).includes(score.label));
    take.addEventListener("click", () => check(data.tags ? toggled(record, score.label) : score.label));
    name.append(take);
    line.append(name, element("td", "", percent(score.probability)), element("td", "", score.similarity?.toFixed(3) ?? ""));
    return line;
  }));
  byId("ranking").parentElement.hidden = !record.ranking.length;
  byId("problem").textContent = record.failed ?? [
    record.label === UNKNOWN ? "Nothing fitted well enough: unknown." : "",
    isWrong(record) ? `${TRUTH_IS[0].toUpperCase()}${TRUTH_IS.slice(1)}: ${inWords(record.truth)}.` : "",
  ].join(" ").trim();
  const given = checked.get(record.index);
  byId("correction").value = given ?? (record.label === UNKNOWN ? "" : record.label);
  byId("forget").hidden = given === undefined;
  byId("previous").disabled = current === 0;
  byId("next").disabled = current === visible.length - 1;
}

// An address relative to the page: it holds wherever the page and the images are moved together.
const addressOf = (path) => (path.startsWith("/") ? data.top : `${data.root}/`) + path.split("/").map(encodeURIComponent).join("/");

let fresh = ""; // a label that no image has so far, which one more Enter adds

// The labels of an image with one more, or without it.
function toggled(record, label) {
  const others = labelsIn(shownLabel(record)).filter((each) => each !== UNKNOWN);
  return (others.includes(label) ? others.filter((each) => each !== label) : [...others, label]).join("|") || UNKNOWN;
}

function check(label) {
  const texts = labelsIn(label).map((each) => spelt.get(typed(each)) ?? each.trim().replace(/\s+/g, " "));
  for (const each of texts) spelt.set(typed(each), each);
  const text = texts.join("|");
  checked.set(visible[current].index, text);
  changed();
}

// What is typed may be a slip: a label that is not known is asked for once more.
function ask(label, unknown = label) {
  fresh = label;
  byId("new").hidden = !label;
  byId("new").textContent = label ? `“${unknown}” is not one of the labels. Press Enter again to add it.` : "";
  byId("correct").querySelector("button").textContent = label ? "Add label" : "Check";
}

function changed() {
  saved = false;
  keep();
  tellSaved();
  offer();
  const row = rows.findIndex((each) => each.from <= current && current < each.to);
  drawn.get(row)?.forEach((each) => each.remove());
  drawn.delete(row);
  draw();
  show();
}

byId("correct").addEventListener("submit", (event) => {
  event.preventDefault();
  const label = byId("correction").value.trim();
  const unknown = labelsIn(label).filter((each) => !spelt.has(typed(each)));
  if (label && unknown.length && label !== fresh) { ask(label, unknown.join(", ")); return; }
  if (label) check(label);
  ask("");
  if (current < visible.length - 1) { moveTo(current + 1); show(); }
  byId("correction").select();
});
byId("correction").addEventListener("input", () => ask(""));
byId("forget").addEventListener("click", () => { checked.delete(visible[current].index); changed(); });
const turn = (step) => {
  moveTo(current + step);
  show();
  if (document.activeElement === byId("correction")) byId("correction").select();
};
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
detail.addEventListener("keydown", (event) => {
  const step = { PageUp: -1, PageDown: 1 }[event.key];
  if (step) { event.preventDefault(); turn(step); }
});
byId("close").addEventListener("click", () => detail.close());
detail.addEventListener("click", (event) => { if (event.target === detail) detail.close(); });
detail.addEventListener("close", () => { choose(); grid.focus({ preventScroll: true }); });

// --- what was checked: kept in this browser, and saved as a table --------------------------------------

// Where the browser allows it, checked labels outlive the tab: under the identity of the results.
const STORED = `clipcli report ${data.id}`;
// A later page in the same place, of the same images and more, takes them over, by the names of the images.
const STORED_HERE = `clipcli report in ${location.pathname}`;
let saved = true; // in a file, or unchanged since the page was opened
let kept = true; // in the browser

function keep() {
  try {
    localStorage.setItem(STORED, JSON.stringify([...checked]));
    localStorage.setItem(STORED_HERE, JSON.stringify([...checked].map(([index, label]) => [records[index].path, label])));
    kept = true;
  } catch {
    kept = false;
  }
}

function recall() {
  try {
    let stored = JSON.parse(localStorage.getItem(STORED));
    if (!Array.isArray(stored)) {
      if (checked.size) return;
      const places = new Map(records.map((record) => [record.path, record.index]));
      stored = JSON.parse(localStorage.getItem(STORED_HERE)).map(([path, label]) => [places.get(path), label]);
      saved = !stored.some(([index]) => records[index]);
    }
    checked.clear();
    for (const [index, label] of stored) if (records[index] && typeof label === "string" && label) checked.set(index, label);
  } catch { /* no storage, or not ours */ }
}

function tellSaved() {
  byId("export").disabled = !checked.size;
  byId("export").textContent = checked.size ? `Save checked labels (${checked.size.toLocaleString()})` : "Save checked labels";
  byId("saved").textContent = saved ? "" : kept ? "not saved in a file yet" : "not saved yet";
}

function cell(text) {
  // A spreadsheet takes such text for a formula; clipcli takes the apostrophe off again.
  const guarded = /^'*[\s\u0000-\u001f\u0085\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫]|^'*[\t\r\n]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

function table() {
  // By the third column clipcli knows its own table: only there it takes apostrophes off again.
  const rows = [...checked].sort(([a], [b]) => a - b);
  const lines = rows.map(([index, label]) => `${cell(records[index].path)},${cell(label)},checked\n`);
  return `path,label,clipcli\n${lines.join("")}`;
}

byId("export").addEventListener("click", () => {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "checked.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  saved = true;
  byId("saved").textContent = "✓ saved as checked.csv";
});
window.addEventListener("beforeunload", (event) => { if (!saved && checked.size) event.preventDefault(); });

// --- the start -----------------------------------------------------------------------------------------

function options(select, names, counts) {
  const known = names.filter((name) => counts.has(name)).sort(byName);
  select.append(...known.map((name) => {
    const made = element("option", "", `\u2068${name}\u2069 (${counts.get(name).toLocaleString()})`); // whatever its direction
    made.value = name;
    return made;
  }));
}

function tally(of) {
  const counts = new Map();
  for (const record of records) for (const name of of(record)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

// The labels to filter by and to choose from, with those that were checked.
function offer() {
  const select = byId("label"), chosen = select.value, counts = tally((record) => labelsIn(shownLabel(record)));
  select.length = 1;
  options(select, [...counts.keys()], counts);
  select.value = counts.has(chosen) ? chosen : "";
  byId("known").replaceChildren(...[...spelt.values()].filter((name) => name !== UNKNOWN).map((name) => {
    const made = element("option");
    made.value = name;
    return made;
  }));
}

function histogram() {
  const counts = new Array(BARS).fill(0);
  for (const record of records) if (!record.failed) counts[Math.min(BARS - 1, Math.floor(record.probability * BARS))] += 1;
  const most = Math.max(1, ...counts);
  byId("histogram").append(...counts.map((count, place) => {
    const bar = element("button"), height = element("span");
    const [from, to] = [(100 * place) / BARS, (100 * (place + 1)) / BARS];
    bar.type = "button";
    bar.tabIndex = -1; // by keyboard, the two handles do the same
    bar.title = `${count.toLocaleString()} images, ${from} to ${to} %`;
    bar.setAttribute("aria-label", bar.title);
    height.style.height = count ? `${Math.max(4, (100 * count) / most)}%` : "0";
    bar.append(height);
    bar.addEventListener("click", () => { byId("least").value = from; byId("most").value = to; choose(); });
    return bar;
  }));
}

if (!data.truth) document.querySelectorAll("option.of-truth").forEach((each) => each.remove()); // not every browser hides them
if (!data.groups.length) byId("heading").querySelector('[value="group"]').remove();
recall();
tellSaved();
byId("model").textContent = data.models.join(", ");
if (data.groups.length) {
  options(byId("group"), data.groups, tally((record) => [record.group]));
  byId("group-filter").hidden = false;
  byId("heading").querySelector('[value="group"]').hidden = false;
}
for (const name of [...checked.values()].flatMap(labelsIn)) if (!spelt.has(typed(name))) spelt.set(typed(name), name);
offer();
histogram();
if (data.truth) {
  document.querySelectorAll(".of-truth").forEach((each) => { each.hidden = false; });
  byId("evaluation")?.addEventListener("toggle", draw); // what is below moves
  document.querySelectorAll('.charts img[src^="data:image/png"]').forEach((each) => {
    each.addEventListener("load", () => { each.width = Math.round(each.naturalWidth * 96 / CHART_DOTS); });
  });
}
if (data.hits) {
  document.querySelectorAll(".of-labels").forEach((each) => { each.hidden = true; });
  byId("order").value = "given";
  byId("order").querySelector('[value="given"]').textContent = "rank";
  byId("order").querySelector('[value="unsure"]').textContent = "least similar";
  byId("order").querySelector('[value="sure"]').textContent = "most similar";
}
byId("least").addEventListener("input", () => { if (Number(byId("least").value) > Number(byId("most").value)) byId("least").value = byId("most").value; });
byId("most").addEventListener("input", () => { if (Number(byId("most").value) < Number(byId("least").value)) byId("most").value = byId("least").value; });
byId("filters").addEventListener("input", choose);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("reset").addEventListener("click", () => {
  byId("filters").reset();
  if (data.hits) byId("order").value = "given";
  choose();
});
window.addEventListener("scroll", draw, { passive: true });
window.addEventListener("resize", choose);
choose();
