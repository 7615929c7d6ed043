// Labels and templates as people type them, and the settings that a ranking depends on.

const MOST_RANKS = 50; // labels that are listed per image
export const UNKNOWN = "unknown";

const tidy = (text) => text.trim().replace(/\s+/g, " ");
const linesIn = (text) => text.split(/\r\n?|\n/).map(tidy).filter(Boolean);

// One label per line, as in a label file; in a single line, commas separate labels.
export function labelsIn(text) {
  const lines = linesIn(text).filter((line) => !line.startsWith("#"));
  return lines.length === 1 ? lines[0].split(",").map(tidy).filter(Boolean) : lines;
}

export const templatesIn = linesIn;

// Labels are compared as the pages of clipcli do: case and spaces do not matter.
export const typed = (name) => tidy(name.normalize("NFC")).toLowerCase();

// The options of a request for these settings; `count` is the number of labels.
export function optionsOf(settings, count) {
  return {
    ...(settings.labels.length ? { labels: settings.labels } : {}),
    ...(settings.templates.length ? { templates: settings.templates } : {}),
    ...(settings.model ? { model: settings.model } : {}),
    ...(settings.tags ? { tags: true, threshold: settings.threshold } : {}),
    ...(!settings.tags && settings.unknown > 0 ? { min_probability: settings.unknown } : {}),
    top_k: Math.max(1, Math.min(count, MOST_RANKS)),
  };
}

export const sameSettings = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export function inWords(settings, count) {
  const names = settings.labels.slice(0, 6).join(", ") + (settings.labels.length > 6 ? ", …" : "");
  return [
    settings.labels.length ? `${count} labels: ${names}` : `the server’s ${count} labels`,
    ...(settings.templates.length ? [settings.templates.length === 1 ? settings.templates[0] : `${settings.templates.length} templates`] : []),
    ...(settings.tags ? [`several labels per image, threshold ${Math.round(100 * settings.threshold)}%`] : []),
    ...(!settings.tags && settings.unknown > 0 ? [`unknown below ${Math.round(100 * settings.unknown)}%`] : []),
    ...(settings.model ? [settings.model] : []),
  ].join(" · ");
}
