// What the page gives away: a command line, tables as clipcli writes them, and files to save.
import { UNKNOWN } from "./labels.js";

const RANKS = 5; // as `clipcli classify` lists without --top-k

// --- the command line --------------------------------------------------------------------------------

const SAFE = /^[\w@%+:,./-]+$/;
const quoted = (word) => (SAFE.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
const LABELS_IN_LINE = 30;

// The label file that stands for these labels: a table if they have groups or thresholds.
export const isTable = (labels) => labels.some((each) => each.group !== null || each.threshold !== null);
export const labelFileName = (labels) => (isTable(labels) ? "labels.csv" : "labels.txt");

export function labelFile(labels) {
  if (!isTable(labels)) return labels.map((each) => `${each.name}\n`).join("");
  const rows = labels.map((each) => [each.name, each.group, each.threshold].map(cell).join(","));
  return ["label,group,threshold", ...rows].join("\n") + "\n";
}

export function commandLine(settings, labels, model, names) {
  const words = ["clipcli", "classify"];
  const option = (short, long, value) => words.push(...(value.startsWith("-") ? [`${long}=${value}`] : [short, value]));
  if (isTable(labels) || labels.length > LABELS_IN_LINE) words.push("--labels", labelFileName(labels));
  else for (const { name } of labels) option("-l", "--label", name);
  for (const template of settings.templates) option("-t", "--template", template);
  if (settings.tags) words.push("--tags", "--threshold", String(settings.threshold));
  else if (settings.unknown > 0) words.push("--min-probability", String(settings.unknown));
  if (model) words.push("--model", model.name, ...(model.pretrained ? ["--pretrained", model.pretrained] : []));
  words.push(...names.map((name) => (name.startsWith("-") ? `./${name}` : name)));
  return words.map(quoted).join(" ");
}

// --- tables, as `clipcli classify -f csv` writes them ------------------------------------------------

const FORMULA = /^'*[\s\u0000-\u001f\u0085\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠﹦﹢﹣﹫]|^'*[\t\r\n]/;

// A spreadsheet takes such text for a formula; clipcli takes the apostrophe off again.
export function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return written(value);
  const guarded = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

// A score as Python writes it, so that both make the same file.
export function written(number) {
  if (Number.isInteger(number)) return number.toFixed(1);
  if (Math.abs(number) >= 1e-4) return String(number);
  return number.toExponential().replace(/e-(\d)$/, "e-0$1");
}

function columnsOf(layout) {
  const ranks = Array.from({ length: Math.min(RANKS, layout.top_k) - 1 }, (_, place) => place + 2);
  return [
    "path", "label", ...(layout.tagged ? ["labels"] : []), "probability", "similarity",
    ...(layout.with_unknown ? ["label_1"] : []),
    ...ranks.flatMap((rank) => [`label_${rank}`, `probability_${rank}`, `similarity_${rank}`]),
    ...(layout.grouped ? ["group", "group_probability"] : []), ...(layout.in_tree ? ["node"] : []),
    "model", "pretrained", "precision", "error_type", "error_message",
  ];
}

function valuesOf({ name, record, problem }) {
  if (!record) return { path: name, error_type: "ImageError", error_message: problem };
  const values = { ...record, path: name, label_1: record.top[0].label };
  if (record.labels) values.labels = record.labels.map((each) => each.label).join("|");
  record.top.forEach((score, place) => {
    for (const kind of ["label", "probability", "similarity"]) if (place) values[`${kind}_${place + 1}`] = score[kind];
  });
  if (record.groups) values.group_probability = record.groups.find((each) => each.group === record.group)?.probability;
  return values;
}

export function resultsCsv(pictures, layout) {
  const columns = columnsOf(layout);
  const rows = pictures.map((picture) => {
    const values = valuesOf(picture);
    return columns.map((column) => cell(values[column])).join(",");
  });
  return [columns.join(","), ...rows].join("\n") + "\n";
}

export function resultsJsonl(pictures) {
  return pictures.map(({ name, record, problem }) => `${JSON.stringify(
    record ? { ...record, path: name, top: record.top.slice(0, RANKS) } : { path: name, error: { type: "ImageError", message: problem } },
  )}\n`).join("");
}

// By the third column clipcli knows its own table of corrections.
export function checkedCsv(pictures) {
  const rows = pictures.filter((each) => each.checked !== null);
  return ["path,label,clipcli", ...rows.map((each) => `${cell(each.name)},${cell(each.checked.join("|") || UNKNOWN)},checked`)].join("\n") + "\n";
}

// --- where it goes -----------------------------------------------------------------------------------

export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Put text on the clipboard; resolves to whether that worked. Browsers without a secure context only know the old way.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* the old way */ }
  const area = document.createElement("textarea"), before = document.activeElement;
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return copied;
}
