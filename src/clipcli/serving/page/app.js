// The page of `clipcli serve`: connects the parts. Ranking decides what is asked of the server, Cards show the images.
import { hasToken, health, serverLabels, serverModels } from "./api.js";
import { Cards, element, labelsOf } from "./cards.js";
import { EXAMPLE_LABELS, examples } from "./examples.js";
import { checkedCsv, commandLine, copy, labelFile, labelFileName, resultsCsv, resultsJsonl, save } from "./export.js";
import { History } from "./history.js";
import { labelsIn, optionsOf, sameSettings, templatesIn, typed } from "./labels.js";
import { fromClipboard, fromDrop, fromFiles, thumbnailOf, withOwnNames } from "./pictures.js";
import { Ranking } from "./ranking.js";
import { announce, banner, connection, insist, offline, unauthorized } from "./status.js";

const TYPING = 400; // milliseconds without a key until labels are ranked

const NARROW = matchMedia("(max-width: 760px)");

const byId = (id) => document.getElementById(id);
const server = { labels: [], templates: [], models: [], model: null, limits: { labels: 10000 } };
let layout = null; // of the last answer
let saved = true; // whether the checked labels are in a file

// --- settings ----------------------------------------------------------------------------------------

function settingsNow() {
  const isTags = byId("tags").checked;
  return {
    labels: labelsIn(byId("labels").value), templates: templatesIn(byId("templates").value), tags: isTags,
    threshold: Number(byId("threshold").value), unknown: Number(byId("unknown").value), model: byId("model-choice").value,
  };
}

// The labels in use: those that are typed, else the server's.
const labelsFor = (settings) =>
  settings.labels.length ? settings.labels.map((name) => ({ name, group: null, threshold: null })) : server.labels;
const modelFor = (settings) => server.models.find((each) => each.name === (settings.model || server.model)) ?? null;

function fill(settings) {
  byId("labels").value = settings.labels.length === 1 ? settings.labels[0] : settings.labels.join("\n");
  byId("templates").value = settings.templates.join("\n");
  byId("more-settings").open ||= settings.templates.length > 0;
  byId("tags").checked = settings.tags;
  byId("threshold").value = settings.threshold;
  byId("unknown").value = settings.unknown;
  byId("model-choice").value = settings.model;
  apply();
}

let applied = null;

function apply() {
  clearTimeout(typing);
  const settings = settingsNow(), labels = labelsFor(settings);
  byId("unknown-field").hidden = settings.tags;
  byId("threshold-field").hidden = !settings.tags;
  byId("unknown-value").textContent = `${Math.round(100 * settings.unknown)}%`;
  byId("threshold-value").textContent = `${Math.round(100 * settings.threshold)}%`;
  byId("edit-labels").hidden = settings.labels.length > 0 || !server.labels.length;
  byId("server-labels").hidden = !settings.labels.length || !server.labels.length;
  byId("labels-hint").textContent = settings.labels.length || !server.labels.length
    ? "One label per line; in a single line, commas separate labels."
    : `Empty: the server’s ${server.labels.length.toLocaleString()} labels are used.`;
  byId("save-labels").textContent = `Save ${labelFileName(labels)}`;
  if (applied && sameSettings(applied, settings)) return;
  applied = settings;
  history.keep(settings);
  offer(labels);
  say("");
  if (labels.length > server.limits.labels) {
    say(`${labels.length.toLocaleString()} labels are more than the server’s limit of ${server.limits.labels.toLocaleString()}.`);
    ranking.use(null, 0);
  } else ranking.use(labels.length ? settings : null, labels.length);
}

let typing = 0;
function applySoon() {
  clearTimeout(typing);
  typing = setTimeout(apply, TYPING);
}

// A problem with the labels or settings, in the words of the server.
function say(problem) {
  byId("problem").hidden = !problem;
  byId("problem").textContent = problem;
  byId("labels").setAttribute("aria-invalid", String(Boolean(problem)));
  if (problem) warn([]);
}

function warn(warnings) {
  byId("warnings").hidden = !warnings.length;
  byId("warnings").replaceChildren(...warnings.map((each) => element("li", "", each)));
}

// The labels to correct with: those in use and those that were given by hand.
let known = new Map();
function offer(labels = labelsFor(applied)) {
  const given = ranking.pictures.flatMap((each) => each.checked ?? []);
  known = new Map();
  for (const name of [...labels.map((each) => each.name), ...given]) if (!known.has(typed(name))) known.set(typed(name), name);
  byId("known").replaceChildren(...[...known.values()].slice(0, 1000).map((name) => {
    const made = element("option");
    made.value = name;
    return made;
  }));
}

// --- images ------------------------------------------------------------------------------------------

async function add(pictures) {
  if (!pictures.length) { announce("There is no image among these files."); return; }
  withOwnNames(pictures, ranking.pictures);
  ranking.add(pictures);
  cards.add(pictures);
  if (!ranking.settings && !labelsFor(settingsNow()).length) announce("Type labels to classify the images.");
  if (NARROW.matches) byId("results").scrollIntoView(); // there, the results are below the labels
  for (const each of pictures) {
    each.thumbnail = await thumbnailOf(each.file);
    if (ranking.pictures.includes(each)) cards.showThumbnail(each);
    else if (each.thumbnail) URL.revokeObjectURL(each.thumbnail);
  }
}

function changed(pictures = []) {
  for (const each of pictures) cards.update(each);
  const all = ranking.pictures, left = ranking.left.length, failed = all.filter((each) => each.problem).length;
  byId("empty").hidden = all.length > 0;
  byId("toolbar").hidden = byId("clear").hidden = all.length === 0;
  byId("results").setAttribute("aria-busy", String(left > 0));
  const isReady = all.some((each) => each.record);
  for (const id of ["copy-command", "copy-csv", "save-csv", "save-jsonl"]) byId(id).disabled = !isReady;
  const counted = `${all.length.toLocaleString()} ${all.length === 1 ? "image" : "images"}`;
  const words = left ? `${(all.length - left).toLocaleString()} of ${counted} …` : all.length ? counted : "";
  byId("progress").textContent = words + (failed ? `, ${failed} failed` : "");
  tally();
}

// How often the model agrees with the labels that were checked.
function tally() {
  const checked = ranking.pictures.filter((each) => each.checked !== null), own = (each) => new Set(labelsOf({ ...each, checked: null }));
  const agree = checked.filter((each) => each.record && own(each).size === each.checked.length && each.checked.every((name) => own(each).has(name)));
  byId("save-checked").disabled = !checked.length;
  byId("save-checked").textContent = checked.length ? `Save checked labels (${checked.length})` : "Save checked labels";
  byId("tally").hidden = !checked.length;
  byId("tally").textContent = `${checked.length} checked; the model agrees on ${agree.length}.${saved ? "" : " Not saved in a file yet."}`;
}

function summary() {
  const done = ranking.pictures.filter((each) => each.record), first = done.slice(0, 3);
  const words = first.map((each) => `${each.name}: ${labelsOf(each).join(", ") || "unknown"}`).join(". ");
  return `${done.length} ${done.length === 1 ? "image" : "images"} classified. ${words}${done.length > 3 ? " …" : ""}`;
}

// --- the server --------------------------------------------------------------------------------------

function answered(answer) {
  layout = answer.layout;
  banner("");
  warn(answer.warnings);
  if (ranking.left.length) return;
  history.note(applied, labelsFor(applied).length, ranking.pictures.length);
  announce(summary());
}

const ranking = new Ranking({
  changed, answered, offline, unauthorized,
  refused: (problem) => { say(problem.message); changed(ranking.pictures); },
  waiting: (seconds) => banner(`The server is busy. The page tries again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.`),
});

const cards = new Cards(byId("cards"), {
  removed: (picture) => { ranking.remove(picture); changed(); },
  again: (picture) => ranking.again(picture),
  checked: (picture) => { saved = false; offer(); tally(); announce(`${picture.name}: ${picture.checked === null ? "correction removed" : labelsOf(picture).join(", ") || "unknown"}`); },
}, {
  waits: (picture) => picture.ranked < ranking.revision && !picture.problem && ranking.settings !== null,
  reason: () => (ranking.settings === null ? "Type labels to classify this image." : "Waiting …"),
  known: () => known,
  thresholdOf: (label) => labelsFor(applied).find((each) => each.name === label)?.threshold ?? applied.threshold,
});

const history = new History(byId("entries"), byId("history-count"), (settings) => { fill(settings); byId("labels").focus(); });

// --- what people do ----------------------------------------------------------------------------------

byId("settings").addEventListener("input", (event) => (event.target.matches("textarea") ? applySoon() : apply()));
byId("settings").addEventListener("change", apply);
byId("settings").addEventListener("submit", (event) => event.preventDefault());
byId("edit-labels").addEventListener("click", () => {
  byId("labels").value = server.labels.map((each) => each.name).join("\n");
  apply();
  byId("labels").focus();
});
byId("server-labels").addEventListener("click", () => { byId("labels").value = ""; apply(); byId("labels").focus(); });

byId("choose").addEventListener("click", () => byId("files").click());
byId("camera").addEventListener("click", () => byId("shot").click());
for (const id of ["files", "shot"]) {
  byId(id).addEventListener("change", (event) => {
    const files = fromFiles(event.target.files);
    event.target.value = ""; // so that the same file can be chosen again
    add(files);
  });
}
byId("examples").addEventListener("click", async () => {
  if (!labelsIn(byId("labels").value).length) byId("labels").value = EXAMPLE_LABELS.join("\n");
  await add(await examples());
  apply();
  byId("results-heading").focus();
});

const carriesFiles = (event) => [...event.dataTransfer?.types ?? []].includes("Files");
let depth = 0; // of elements that a drag has entered
const curtain = (change) => { depth = Math.max(0, depth + change); byId("curtain").hidden = depth === 0; };
document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) curtain(1); });
document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) curtain(-1); });
document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
document.addEventListener("drop", async (event) => {
  curtain(-depth);
  if (!carriesFiles(event)) return;
  event.preventDefault();
  add(await fromDrop(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (!files.length) return;
  event.preventDefault();
  add(fromClipboard(files));
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input:not([type=range]):not([type=checkbox]), textarea, select, dialog");
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  byId("labels").focus();
});

const names = () => ranking.pictures.map((each) => each.name);
const csv = () => resultsCsv(ranking.pictures.filter((each) => each.record || each.problem), layout);
async function copied(button, text) {
  const worked = await copy(text), before = button.textContent;
  announce(worked ? "Copied." : "The browser does not allow to copy.");
  if (!worked || before.startsWith("✓")) return;
  button.textContent = "✓ Copied";
  setTimeout(() => { button.textContent = before; }, 1200);
}
byId("copy-command").addEventListener("click", (event) =>
  copied(event.target, commandLine(applied, labelsFor(applied), modelFor(applied), names())));
byId("copy-csv").addEventListener("click", (event) => copied(event.target, csv()));
byId("save-csv").addEventListener("click", () => save("results.csv", csv(), "text/csv"));
byId("save-jsonl").addEventListener("click", () =>
  save("results.jsonl", resultsJsonl(ranking.pictures.filter((each) => each.record || each.problem)), "application/jsonl"));
byId("save-labels").addEventListener("click", () => {
  const labels = labelsFor(applied);
  save(labelFileName(labels), labelFile(labels), "text/plain");
});
byId("save-checked").addEventListener("click", () => {
  save("checked.csv", checkedCsv(ranking.pictures), "text/csv");
  saved = true;
  tally();
  announce("Saved as checked.csv.");
});
byId("clear").addEventListener("click", () => {
  if (!saved && !confirm("The checked labels are not saved. Remove all images?")) return;
  saved = true;
  for (const each of [...ranking.pictures]) cards.remove(each);
  byId("choose").focus();
});
window.addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });

// --- the start ---------------------------------------------------------------------------------------

async function start() {
  connection("Connecting …");
  const { token } = await insist(health);
  if (token && !hasToken()) await unauthorized();
  const [labels, models] = [await insist(serverLabels), await insist(serverModels)];
  connection("");
  Object.assign(server, { labels: labels.labels, templates: labels.templates, model: labels.model, models: models.models, limits: models.limits });
  ranking.limits = models.limits;
  byId("model").textContent = models.models.find((each) => each.default)?.name ?? labels.model;
  byId("templates").placeholder = labels.templates.join("\n");
  byId("model-choice").replaceChildren(...models.models.map((each) => {
    const made = element("option", "", each.name);
    made.value = each.default ? "" : each.name;
    return made;
  }));
  byId("model-field").hidden = byId("model-summary").hidden = models.models.length < 2;
  if (history.draft && !byId("labels").value) fill(history.draft);
  applied = null;
  apply();
}

changed();
start();
