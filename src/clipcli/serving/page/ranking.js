// Keeps the records of all images up to date: sends each image once, and ranks it again by its id when settings change.
import { Refusal, rank, upload } from "./api.js";
import { optionsOf } from "./labels.js";

const UPLOADS = 2; // at a time
const PER_UPLOAD = 4, UPLOAD_BYTES = 8 << 20; // so that the first bars are there soon
const PASSING = new Set(["busy", "stopping", "overdue", "timeout"]);
const TRIES = 30, LONGEST_WAIT = 30; // seconds
const MOST_SENDS = 4; // of one request, if the server is there but the request does not reach it: its file may be gone

const pause = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });

export class Ranking {
  // `told` has the functions changed(pictures), answered(answer), refused(refusal), waiting(seconds), offline() and
  // unauthorized(); the last two resolve when it makes sense to go on.
  constructor(told) {
    Object.assign(this, { told, pictures: [], settings: null, count: 0, revision: 0, uploading: 0, reranking: false });
    this.limits = { images: 64, request_bytes: 64 << 20 };
    this.aborting = new AbortController();
  }

  add(pictures) {
    for (const picture of pictures) Object.assign(picture, { id: null, record: null, ranked: 0, sending: false, problem: "" });
    this.pictures.push(...pictures);
    this.work();
  }

  remove(picture) {
    this.pictures = this.pictures.filter((each) => each !== picture);
  }

  again(picture) {
    Object.assign(picture, { problem: "", ranked: 0 });
    this.work();
  }

  // Rank all images with other settings; null stops, since there are no labels.
  use(settings, count) {
    this.aborting.abort();
    this.aborting = new AbortController();
    Object.assign(this, { settings, count, revision: this.revision + 1 });
    this.work();
  }

  get left() {
    return this.settings === null ? [] : this.pictures.filter((each) => each.ranked < this.revision && !each.problem);
  }

  get busy() {
    return this.uploading > 0 || this.reranking;
  }

  work() {
    const left = this.left.filter((each) => !each.sending);
    const known = left.filter((each) => each.id !== null).slice(0, this.limits.images);
    if (known.length && !this.reranking) {
      this.reranking = true;
      this.run(known).finally(() => { this.reranking = false; this.work(); });
    }
    const fresh = left.filter((each) => each.id === null);
    while (fresh.length && this.uploading < UPLOADS) {
      const batch = this.batch(fresh);
      if (!batch.length) continue;
      for (const picture of batch) picture.sending = true;
      this.uploading += 1;
      this.run(batch).finally(() => { this.uploading -= 1; this.work(); });
    }
    this.told.changed([]);
  }

  // Take the next images for one request; one that is too large for any request fails here.
  batch(fresh) {
    const taken = [];
    let bytes = 0;
    while (fresh.length && taken.length < Math.min(PER_UPLOAD, this.limits.images)) {
      const size = fresh[0].file.size;
      if (size > this.limits.request_bytes - 65536) {
        this.fail([fresh.shift()], `The file is larger than the server’s limit of ${Math.floor(this.limits.request_bytes / 1e6)} MB.`);
        continue;
      }
      if (taken.length && bytes + size > Math.min(UPLOAD_BYTES, this.limits.request_bytes - 65536)) break;
      bytes += size;
      taken.push(fresh.shift());
    }
    return taken;
  }

  fail(pictures, problem) {
    for (const picture of pictures) Object.assign(picture, { problem, record: null });
    this.told.changed(pictures);
  }

  async run(pictures) {
    const revision = this.revision, uploads = pictures[0].id === null;
    const options = optionsOf(this.settings, this.count);
    this.told.changed(pictures);
    try {
      const answer = await this.patient(() =>
        uploads ? upload(pictures, options) : rank(pictures.map((each) => each.id), options, this.aborting.signal), revision);
      for (const picture of pictures) picture.sending = false;
      this.take(pictures, answer, uploads, revision);
    } catch (problem) {
      for (const picture of pictures) picture.sending = false;
      if (problem.name !== "AbortError") this.refuse(pictures, problem, revision);
    }
  }

  take(pictures, answer, uploads, revision) {
    pictures.forEach((picture, place) => {
      const record = answer.records[place], id = answer.ids[place];
      if (uploads || id !== null) picture.id = id;
      if (record.error?.type === "not_found" && !uploads) picture.id = null; // the server has forgotten it: send it again
      else if (record.error) this.fail([picture], record.error.message);
      else if (revision === this.revision) Object.assign(picture, { record, ranked: revision });
    });
    this.told.changed(pictures);
    if (revision === this.revision) this.told.answered(answer);
  }

  refuse(pictures, problem, revision) {
    if (!(problem instanceof Refusal)) throw problem;
    const isRanked = pictures[0].id !== null;
    if (problem.kind === "invalid" || problem.kind === "bad_request" || (problem.kind === "too_large" && isRanked)) {
      if (revision === this.revision) {
        this.settings = null; // until they change
        this.told.refused(problem);
      }
    } else if ((problem.kind === "too_large" || problem.kind === "offline") && !isRanked && pictures.length > 1) {
      pictures.forEach((picture) => { picture.sending = true; });
      for (const picture of pictures) this.run([picture]).finally(() => this.work());
    } else {
      const isUnread = problem.kind === "offline" && !isRanked;
      this.fail(pictures, isUnread ? "The browser cannot send this file. It may have been moved or changed." : problem.message);
    }
  }

  // Ask again when the server is busy, was away, or wanted the token.
  async patient(ask, revision) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask();
      } catch (problem) {
        if (!(problem instanceof Refusal)) throw problem;
        if (problem.kind === "offline" && tries < MOST_SENDS) await this.told.offline();
        else if (problem.kind === "unauthorized") await this.told.unauthorized();
        else if (PASSING.has(problem.kind) && tries < TRIES) {
          const wait = Math.min(problem.wait || 1, LONGEST_WAIT);
          this.told.waiting(wait);
          await pause(wait);
        } else throw problem;
        if (revision !== this.revision) throw new DOMException("the settings changed", "AbortError");
      }
    }
  }
}
