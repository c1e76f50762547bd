/* Zoom and pan of a stage by mouse, fingers, wheel, keys and buttons; what is drawn is somebody else's. */

class View {
  /**
   * @param {HTMLElement} stage
   * @param {{draw: () => void, pick: (x: number, y: number) => void, marked: () => ?number[], closest: number}} owner
   *   `draw` shows the view, `pick` takes a click in world coordinates, `marked` tells what keys and buttons
   *   zoom towards, `closest` is the largest scale.
   */
  constructor(stage, { draw, pick, marked, closest }) {
    Object.assign(this, { stage, drawNow: draw, pick, marked, closest });
    this.world = { x: 0, y: 0, width: 1, height: 1 };
    this.center = [0.5, 0.5];
    this.magnification = 1;
    this.pointers = new Map();
    stage.addEventListener("pointerdown", (event) => this.onDown(event));
    stage.addEventListener("pointermove", (event) => this.onMove(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.onUp(event));
    stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    stage.addEventListener("keydown", (event) => this.onKey(event));
    stage.querySelectorAll("[data-key]").forEach((button) => {
      button.addEventListener("click", () => this.press(button.dataset.key));
    });
    new ResizeObserver(() => this.change()).observe(stage);
  }

  get size() {
    return [this.stage.clientWidth || 1, this.stage.clientHeight || 1];
  }

  /** Screen pixels per unit when the whole world is in view. */
  get fitScale() {
    const [width, height] = this.size;
    return Math.min(width / this.world.width, height / this.world.height);
  }

  get scale() {
    return this.fitScale * this.magnification;
  }

  /** Left and top of the view, and its width and height, in world units. */
  get box() {
    const [width, height] = this.size.map((length) => length / this.scale);
    return [this.center[0] - width / 2, this.center[1] - height / 2, width, height];
  }

  /** Another world; all of it in view. */
  setWorld(x, y, width, height) {
    this.world = { x, y, width, height };
    this.fit();
  }

  fit() {
    const { x, y, width, height } = this.world;
    this.center = [x + width / 2, y + height / 2];
    this.magnification = 1;
    this.change();
  }

  /** Look at a place, `span` units of it. */
  lookAt(x, y, span) {
    this.center = [x, y];
    this.magnification = this.bounded(Math.min(...this.size) / span / this.fitScale);
    this.change();
  }

  bounded(magnification) {
    return Math.min(Math.max(magnification, 1), Math.max(1, this.closest / this.fitScale));
  }

  /** Magnify by a factor; the world's point under the stage's (px, py) stays there. */
  zoom(factor, px = this.size[0] / 2, py = this.size[1] / 2) {
    const [x, y] = this.toWorld(px, py);
    this.magnification = this.bounded(this.magnification * factor);
    this.center = [x - (px - this.size[0] / 2) / this.scale, y - (py - this.size[1] / 2) / this.scale];
    this.change();
  }

  /** The stage's point that stays where it is: that of the mark if it is in view, else the middle. */
  get anchor() {
    const mark = this.marked();
    const [left, top, width, height] = this.box;
    const seen = mark && mark[0] >= left && mark[0] <= left + width && mark[1] >= top && mark[1] <= top + height;
    return seen ? [(mark[0] - left) * this.scale, (mark[1] - top) * this.scale] : this.size.map((length) => length / 2);
  }

  pan(dx, dy) {
    this.center = [this.center[0] - dx / this.scale, this.center[1] - dy / this.scale];
    this.change();
  }

  toWorld(px, py) {
    const [left, top] = this.box;
    return [left + px / this.scale, top + py / this.scale];
  }

  /** Keep the world in view and draw, once per screen refresh. */
  change() {
    this.magnification = this.bounded(this.magnification);
    const { x, y, width, height } = this.world;
    const [seenX, seenY] = this.size.map((length) => length / this.scale);
    const keep = (value, start, length, seen) =>
      seen >= length ? start + length / 2 : Math.min(Math.max(value, start + seen / 2), start + length - seen / 2);
    this.center = [keep(this.center[0], x, width, seenX), keep(this.center[1], y, height, seenY)];
    // A finger moves the page where there is nothing to pan.
    this.stage.style.touchAction = this.magnification > 1.01 ? "none" : "pan-y";
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left - this.stage.clientLeft, event.clientY - box.top - this.stage.clientTop];
  }

  onDown(event) {
    if (event.button !== 0 || event.target.closest("button")) return;
    this.pointers.set(event.pointerId, this.at(event));
    this.moved = this.pointers.size > 1;
    this.start = this.at(event);
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    if (!this.moved && Math.hypot(now[0] - this.start[0], now[1] - this.start[1]) < 4) return;
    if (!this.moved) this.stage.setPointerCapture(event.pointerId);
    this.moved = true;
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (others.length === 0) {
      this.pan(now[0] - before[0], now[1] - before[1]);
    } else {
      const [u, v] = others[0][1];
      const was = Math.hypot(before[0] - u, before[1] - v);
      const is = Math.hypot(now[0] - u, now[1] - v);
      if (was > 0) this.zoom(is / was, (now[0] + u) / 2, (now[1] + v) / 2);
    }
    this.pointers.set(event.pointerId, now);
  }

  onUp(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && !this.moved) this.pick(...this.toWorld(...this.at(event)));
  }

  onWheel(event) {
    // A page that scrolls past must not be caught: the stage is clicked first, or Ctrl is held.
    if (!event.ctrlKey && !this.stage.contains(document.activeElement)) return;
    event.preventDefault();
    this.zoom(Math.exp(-0.0015 * event.deltaY * (event.deltaMode === 1 ? 33 : 1)), ...this.at(event));
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === this.stage ? this.press(event.key) : this.pressZoom(event.key)) event.preventDefault();
  }

  /** Do what a key says; false where it says nothing. */
  press(key) {
    const step = 60;
    const arrows = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (!(key in arrows)) return this.pressZoom(key);
    this.pan(...arrows[key]);
    return true;
  }

  pressZoom(key) {
    if (key === "+" || key === "=") this.zoom(1.5, ...this.anchor);
    else if (key === "-" || key === "_") this.zoom(1 / 1.5, ...this.anchor);
    else if (key === "0") this.fit();
    else return false;
    return true;
  }
}
