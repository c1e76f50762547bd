/* One frame's picture with its outlines. */

/** Grey levels of a preview hold the square root of light; each stretch is a table from them to the screen. */
const STRETCHES = {
  linear: (light) => light,
  log: (light) => Math.log1p(15 * light) / Math.log1p(15),
  contrast: (light, shown) => (light - shown.low * 0.6) / (Math.min(shown.high * 1.1, 1) - shown.low * 0.6),
};

const crossAt = (x, y, arm) => `M${x - arm} ${y}h${2 * arm}M${x} ${y - arm}v${2 * arm}`;

class Picture {
  constructor(stage, onPick) {
    Object.assign(this, { stage, onPick, frame: -1, selected: -1, accept: () => true });
    this.svg = byId("picture");
    this.filter = draw("filter", { id: "stretching", "color-interpolation-filters": "sRGB", x: 0, y: 0, width: 1, height: 1 });
    this.transfer = draw("feComponentTransfer");
    this.filter.append(this.transfer);
    this.image = draw("image", { filter: "url(#stretching)", preserveAspectRatio: "none" });
    this.lines = draw("g", { id: "lines", transform: `scale(${1 / data.steps_per_pixel})` });
    this.names = draw("g", { id: "spot-names" });
    this.target = draw("circle", { id: "target" });
    this.svg.append(this.filter, this.image, this.lines, this.names, this.target);
    this.image.addEventListener("load", () => this.tell(""));
    this.image.addEventListener("error", () => this.tell("The picture cannot be read: is the folder beside this page still there?"));
    this.view = new View(stage, {
      draw: () => this.draw(),
      pick: (x, y) => this.pick(x, y),
      marked: () => (this.parts?.has(this.selected) ? this.where(this.selected) : null),
      closest: 24,
    });
    this.stretch = "log";
  }

  tell(text) {
    byId("no-picture").textContent = text;
    byId("no-picture").hidden = !text;
  }

  /** Show a frame and all of it, unless it is in view already. */
  show(frame) {
    if (frame === this.frame) return;
    this.frame = frame;
    this.shown = data.pictures[frame];
    const columns = frames.value(frame, "n_x") ?? 1024;
    const rows = frames.value(frame, "n_y") ?? 1024;
    const part = this.shown ?? { left: -0.5, top: -0.5, width: columns, height: rows };
    for (const [name, value] of [["x", part.left], ["y", part.top], ["width", part.width], ["height", part.height]]) {
      this.image.setAttribute(name, value);
    }
    this.load();
    this.setStretch(this.stretch);
    this.outline();
    const found = plural(spotsOfFrame[frame].length, "detection");
    this.stage.ariaLabel = `Picture of ${visible(frames.value(frame, "frame"))}, ${found}`;
    this.view.setWorld(part.left, part.top, part.width, part.height);
  }

  load() {
    this.image.removeAttribute("href");
    if (!this.shown) {
      const status = frames.value(this.frame, "status");
      this.tell(status === "ok" ? "No picture was kept of this frame." : `This frame is ${status}: no picture.`);
      return;
    }
    this.tell("");
    const embedded = byId(`picture-${this.frame}`);
    if (this.shown.file) this.image.setAttribute("href", this.shown.file);
    else if (embedded) this.image.setAttribute("href", `data:image/jpeg;base64,${embedded.textContent}`);
    // Pictures stand at the end of the page: until it is read to its end, theirs may not be there yet.
    else if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => this.load(), { once: true });
  }

  setStretch(name) {
    this.stretch = name;
    const shown = this.shown ?? { low: 0, high: 1 };
    const table = [];
    for (let k = 0; k <= 128; k++) {
      const light = (k / 128) ** 2;
      table.push(Math.min(Math.max(STRETCHES[name](light, shown), 0), 1).toFixed(4));
    }
    const channels = ["R", "G", "B"].map((c) => draw(`feFunc${c}`, { type: "table", tableValues: table.join(" ") }));
    this.transfer.replaceChildren(...channels);
  }

  outline() {
    this.lines.replaceChildren();
    this.names.replaceChildren();
    this.parts = new Map();
    for (const row of spotsOfFrame[this.frame]) {
      const path = data.outlines[row];
      const group = draw("g", { class: kindOf(row), "data-spot": row });
      const [x, y] = this.where(row);
      // Without an outline a small cross marks the place.
      const shape = path || crossAt(x * data.steps_per_pixel, y * data.steps_per_pixel, 2 * data.steps_per_pixel);
      for (const layer of ["hit", "halo", "line"]) group.append(draw("path", { class: layer, d: shape }));
      const reach = 0.4 * (spots.value(row, "diameter_halfmax") ?? 4);
      const name = draw("text", { class: kindOf(row), x: x + reach, y: y - reach, dx: "0.3em", dy: "-0.15em" });
      name.textContent = spots.value(row, "detection_id");
      this.lines.append(group);
      this.names.append(name);
      this.parts.set(row, [group, name]);
    }
    this.mark();
  }

  /** Dim what the filters hide. */
  filterBy(accept) {
    this.accept = accept;
    this.mark();
  }

  mark() {
    for (const [row, nodes] of this.parts ?? []) {
      for (const node of nodes) {
        node.classList.toggle("faint", !this.accept(row));
        node.classList.toggle("selected", row === this.selected);
      }
    }
    this.target.classList.toggle("away", !this.parts?.has(this.selected));
    this.view.change();
  }

  /** Mark a detection; `near` looks at it closely. */
  select(row, near) {
    this.show(data.frame_of_spot[row]);
    this.selected = row;
    this.mark();
    if (!near) return;
    const size = spots.value(row, "diameter_halfmax") ?? 8;
    this.view.lookAt(...this.where(row), Math.max(12 * size, 96));
  }

  where(row) {
    return [spots.value(row, "x_centroid"), spots.value(row, "y_centroid")];
  }

  pick(x, y) {
    const reach = 14 / this.view.scale;
    let best = null;
    for (const row of spotsOfFrame[this.frame]) {
      const path = this.parts.get(row)[0].firstChild;
      const point = this.svg.createSVGPoint();
      Object.assign(point, { x: x * data.steps_per_pixel, y: y * data.steps_per_pixel });
      const [u, v] = this.where(row);
      const away = Math.hypot(x - u, y - v);
      const inside = path.isPointInFill(point);
      if (!inside && away > reach) continue;
      if (best === null || away < best.away) best = { row, away };
    }
    if (best) this.onPick(best.row);
  }

  draw() {
    const [left, top, width, height] = this.view.box;
    this.svg.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
    const pixel = 1 / this.view.scale;
    this.names.setAttribute("font-size", 12 * pixel);
    this.svg.classList.toggle("close", this.view.scale > 6);
    this.clearNames(pixel);
    if (this.parts?.has(this.selected)) {
      const [x, y] = this.where(this.selected);
      this.target.setAttribute("cx", x);
      this.target.setAttribute("cy", y);
      const wide = 0.8 * (spots.value(this.selected, "diameter_halfmax") ?? 0);
      this.target.setAttribute("r", Math.max(18 * pixel, wide));
    }
    this.drawBar();
  }

  /** Leave out numbers that would cover another's: the selected one and the strongest keep theirs. */
  clearNames(pixel) {
    const taken = [];
    const rank = (row) => (row === this.selected ? Infinity : (spots.value(row, "snr") ?? 0));
    for (const row of [...(this.parts?.keys() ?? [])].sort((a, b) => rank(b) - rank(a))) {
      const name = this.parts.get(row)[1];
      const [x, y] = [name.x.baseVal[0].value, name.y.baseVal[0].value];
      const width = (4 + 8 * name.textContent.length) * pixel;
      const height = 13 * pixel;
      const covered = taken.some((t) => Math.abs(t.x - x) < (t.width + width) / 2 && Math.abs(t.y - y) < height);
      name.classList.toggle("covered", covered);
      if (!covered) taken.push({ x, y, width });
    }
  }

  /** A bar of a round number of kilometres, about a quarter of the stage. */
  drawBar() {
    const bar = byId("bar");
    const km = this.frame < 0 ? null : frames.value(this.frame, "pixel_scale_km");
    bar.hidden = !km;
    if (!km) return;
    const most = (0.25 * this.view.size[0] * km) / this.view.scale;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].find((f) => f * power <= most * (1 + 1e-9)) * power;
    bar.style.width = `${(length / km) * this.view.scale}px`;
    bar.firstElementChild.textContent = length < 1 ? `${Math.round(1000 * length)} m` : `${length} km`;
  }
}
