// Image files that people drop, paste or choose, as pictures with a name and a thumbnail.

const SIDE = 480; // pixels of a thumbnail, twice as large as it is shown
const MOST_FILES = 2000; // of one drop
const SUFFIX = /\.(jpe?g|jpe|jfif|mpo|png|gif|webp|avif|hei[cf]|bmp|dib|tiff?|p[bgnp]m|pfm|jp2|j2k|jpx|icns|ico|dds|qoi|psd|sgi)$/i; // browsers do not know all types

let made = 0;

const isImage = (file) => file.type.startsWith("image/") || SUFFIX.test(file.name);

export const picture = (file, name) => ({ key: `picture-${made += 1}`, file, name, checked: null, thumbnail: undefined });

// Give each picture a name that no other has: two cameras both call their first photo IMG_0001.jpg.
export function withOwnNames(pictures, present) {
  const taken = new Set(present.map((each) => each.name));
  for (const each of pictures) {
    const [, stem, suffix] = /^(.*?)(\.[^./]*)?$/s.exec(each.name);
    for (let number = 2; taken.has(each.name); number += 1) each.name = `${stem}-${number}${suffix ?? ""}`;
    taken.add(each.name);
  }
  return pictures;
}

export const fromFiles = (files) => [...files].filter(isImage).map((file) => picture(file, file.name));

// What the clipboard has is named by the browser, always the same.
export function fromClipboard(files) {
  return [...files].filter(isImage).map((file) => picture(file, file.name === "image.png" ? "pasted.png" : file.name));
}

// Files and folders of a drop. The entries are taken at once: they are gone after the event.
export async function fromDrop(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return fromFiles(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, folder, found) {
  if (found.length >= MOST_FILES || entry.name.startsWith(".")) return;
  if (entry.isFile) {
    const file = await new Promise((done, failed) => { entry.file(done, failed); }).catch(() => null);
    if (file && isImage(file)) found.push(picture(file, folder + file.name));
    return;
  }
  const reader = entry.createReader();
  for (;;) { // a folder is read in portions
    const portion = await new Promise((done, failed) => { reader.readEntries(done, failed); }).catch(() => []);
    if (!portion.length) return;
    for (const each of portion.sort((a, b) => (a.name < b.name ? -1 : 1))) await walk(each, `${folder}${entry.name}/`, found);
  }
}

// A small copy, so that the page does not hold decoded photographs; null if the browser cannot decode the file.
export async function thumbnailOf(file) {
  let whole;
  try {
    whole = await createImageBitmap(file);
    const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(whole.width * scale));
    canvas.height = Math.max(1, Math.round(whole.height * scale));
    canvas.getContext("2d").drawImage(whole, 0, 0, canvas.width, canvas.height);
    return URL.createObjectURL(await new Promise((done) => { canvas.toBlob(done, "image/webp", 0.85); }));
  } catch {
    return null;
  } finally {
    whole?.close();
  }
}
