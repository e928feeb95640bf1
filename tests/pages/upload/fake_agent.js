// A fake of the page's upload agent: it sends nothing, shows what a test sets, and notes every call.
class FakeAgent {
  constructor() {
    this.calls = [];
    this.heard = new Set();
    this.made = 0;
    this.change = {};
    this.problems = [];
    this.finaliseMs = 0;
    this.finaliseError = null;
    this.snapshot = {
      state: "empty", reason: "", files: 0, bytes: 0, sentFiles: 0, sentBytes: 0, resentBytes: 0,
      counts: {}, rateBytesPerS: 0, secondsLeft: null, finalisable: false, listVersion: 0,
      question: null, receipt: null, where: "page",
    };
    this.told = { frames: 0, bytes: 0, blocks: 0, here: 0, refused: 0, skipped: 0, targets: [],
      nights: [], filters: [] };
  }

  subscribe(hear) {
    this.heard.add(hear);
    hear({ ...this.snapshot });
    return () => this.heard.delete(hear);
  }

  set(change) {
    this.snapshot = { ...this.snapshot, ...change, listVersion: this.snapshot.listVersion + 1 };
    for (const hear of this.heard) hear({ ...this.snapshot });
  }

  row(number) {
    const sub = number % 3;
    return {
      id: number, name: `Light_M31_10.0s_LP_20250812-${String(number).padStart(6, "0")}.fit`,
      path: `MyWorks/M 31_sub/Light_M31_10.0s_LP_20250812-${String(number).padStart(6, "0")}.fit`,
      bytes: 4152960, sentBytes: 0, state: "queued", reason: "", remedy: "", paused: false,
      target: "M 31", dateObs: `2025-08-12T22:${10 + sub}:00`, exposureS: 10, filter: "LP",
      block: `20250812.92_M31_${Math.floor(number / 88)}`, ...this.change[number],
    };
  }

  async rows({ offset, limit, filter }) {
    this.calls.push(["rows", offset, limit, filter]);
    const total = filter === "problems" ? this.problems.length : this.snapshot.files;
    const rows = [];
    for (let place = offset; place < Math.min(total, offset + limit); place += 1) {
      rows.push(this.row(filter === "problems" ? this.problems[place] : place));
    }
    return { total, rows };
  }

  async summary() { return this.told; }

  async finalise() {
    this.calls.push(["finalise"]);
    await new Promise((done) => setTimeout(done, this.finaliseMs));
    if (this.finaliseError) throw this.finaliseError;
    const { files, bytes } = this.snapshot;
    this.set({ finalisable: false, receipt: { files, bytes, accepted: 236, duplicates: 12, refused: 1,
      digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", jobs: [11, 12, 13],
      whenMs: 1755000000000 } });
    return { batch_id: 7, job_ids: [11, 12, 13], n_frames: 236, n_rejected: 0 };
  }

  count(name) { return this.calls.filter((call) => call[0] === name).length; }
}

for (const name of ["pause", "resume", "clear", "pauseFile", "resumeFile", "retry", "remove", "giveUpLost",
  "addFiles", "addDrop"]) {
  FakeAgent.prototype[name] = function noted(...given) {
    const told = given.map((one) => (Array.isArray(one) ? one.map((file) => file.name) : one));
    this.calls.push([name, ...told]);
  };
}
