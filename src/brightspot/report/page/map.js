/* All detections with latitude and longitude on a simple cylindrical map with Ceres' named ground. */

class CeresMap {
  constructor(stage, onPick) {
    Object.assign(this, { stage, onPick, selected: -1, rows: [] });
    this.canvas = byId("map-canvas");
    this.probes = new Map();
    this.placed = [];
    for (let row = 0; row < spots.count; row++) {
      if (spots.value(row, "latitude_deg") !== null && spots.value(row, "longitude_deg") !== null) this.placed.push(row);
    }
    if (!this.placed.length) {
      byId("no-map").textContent = "No detection has a latitude and longitude: labels or SPICE kernels give them.";
      byId("no-map").hidden = false;
    }
    this.view = new View(stage, {
      draw: () => this.draw(),
      pick: (x, y) => this.pick(x, y),
      marked: () => (this.placed.includes(this.selected) ? this.where(this.selected) : null),
      closest: 60,
    });
    this.view.setWorld(0, -90, 360, 180);
  }

  /** Show only detections that `accept` lets through. */
  filterBy(accept) {
    this.rows = this.placed.filter(accept);
    this.canvas.ariaLabel = `Map of Ceres with ${plural(this.rows.length, "detection")}`;
    byId("map-count").textContent = `${this.rows.length.toLocaleString("en")} of ${plural(spots.count, "detection")} shown`;
    this.view.change();
  }

  select(row) {
    this.selected = row;
    this.view.change();
  }

  where(row) {
    return [spots.value(row, "longitude_deg"), -spots.value(row, "latitude_deg")];
  }

  radius(row) {
    const km = spots.value(row, "diameter_halfmax_km") ?? 0;
    return Math.min(3 + 0.25 * Math.sqrt(km) * Math.sqrt(this.view.scale), 14);
  }

  pick(x, y) {
    let best = null;
    for (const row of this.rows) {
      const [u, v] = this.where(row);
      const away = Math.hypot(u - x, v - y) * this.view.scale;
      if (away > Math.max(this.radius(row), 12)) continue;
      if (best === null || away < best.away - 0.5) best = { row, away };
    }
    if (best) this.onPick(best.row);
  }

  draw() {
    const [width, height] = this.view.size;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const [left, top] = this.view.box;
    this.screen = (x, y) => [(x - left) * this.view.scale, (y - top) * this.view.scale];
    pen.save();
    pen.beginPath();
    const corner = this.screen(0, -90);
    pen.rect(...corner, 360 * this.view.scale, 180 * this.view.scale);
    pen.fillStyle = this.colour("ground");
    pen.fill();
    pen.clip();
    this.taken = [];
    this.drawRings(pen);
    this.drawGraticule(pen, width, height);
    this.drawNames(pen);
    pen.restore();
    this.drawSpots(pen);
  }

  /** A colour of the style sheet, as it is in the theme of the moment. */
  colour(name) {
    if (!this.probes.has(name)) {
      const probe = make("i", { hidden: true });
      probe.style.color = `var(--${name})`;
      this.stage.append(probe);
      this.probes.set(name, getComputedStyle(probe));
    }
    return this.probes.get(name).color;
  }

  drawGraticule(pen, width, height) {
    const step = [30, 10, 5, 2, 1].find((s) => s * this.view.scale < 160) ?? 1;
    const [left, top, wide, high] = this.view.box;
    pen.strokeStyle = this.colour("grid");
    pen.fillStyle = this.colour("muted");
    pen.lineWidth = 1;
    pen.font = "11px system-ui, sans-serif";
    const every = step * this.view.scale < 34 ? 2 * step : step;
    for (let lon = Math.ceil(left / step) * step; lon <= left + wide; lon += step) {
      const x = Math.round(this.screen(lon, 0)[0]) + 0.5;
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, height);
      pen.stroke();
      if (lon % every === 0 && lon > 0 && lon < 360) this.label(pen, `${lon}\u00b0`, x + 4, Math.min(height, this.screen(0, 90)[1]) - 5);
    }
    for (let lat = Math.ceil(top / step) * step; lat <= top + high; lat += step) {
      const y = Math.round(this.screen(0, lat)[1]) + 0.5;
      pen.beginPath();
      pen.moveTo(0, y);
      pen.lineTo(width, y);
      pen.stroke();
      const text = lat === 0 ? "0\u00b0" : `${Math.abs(lat)}\u00b0 ${lat < 0 ? "N" : "S"}`;
      if (Math.abs(lat) < 90) this.label(pen, text, Math.max(0, this.screen(0, 0)[0]) + 5, y - 4);
    }
  }

  label(pen, text, x, y) {
    pen.textAlign = "left";
    pen.fillText(text, x, y);
    this.taken.push([x - 2, y - 11, x + pen.measureText(text).width + 2, y + 2]);
  }

  drawRings(pen) {
    pen.strokeStyle = this.colour("ring");
    pen.fillStyle = this.colour("bowl");
    pen.lineWidth = 1;
    const degrees_per_km = 180 / Math.PI / data.radius_km;
    for (const [, latitude, longitude, diameter_km] of data.names) {
      const high = (diameter_km / 2) * degrees_per_km;
      if (high * this.view.scale < 1.5) continue;
      const wide = Math.min(high / Math.max(Math.cos((latitude * Math.PI) / 180), 0.05), 180);
      // A ring across the map's edge is seen on both sides.
      for (const around of [-360, 0, 360]) {
        if (longitude + around + wide < 0 || longitude + around - wide > 360) continue;
        const [x, y] = this.screen(longitude + around, -latitude);
        pen.beginPath();
        pen.ellipse(x, y, wide * this.view.scale, high * this.view.scale, 0, 0, 2 * Math.PI);
        pen.fill();
        pen.stroke();
      }
    }
  }

  /** Names of the widest features first, each only where it covers no other. */
  drawNames(pen) {
    pen.font = "italic 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.fillStyle = this.colour("names");
    const least = 60 * (3.6 / this.view.scale) ** 1.2;
    const [width, height] = this.view.size;
    for (const [name, latitude, longitude, diameter_km, first] of data.names) {
      if (diameter_km < least && !first) continue;
      const [x, y] = this.screen(longitude, -latitude);
      const half = pen.measureText(name).width / 2;
      const radius = (diameter_km / 2 / data.radius_km) * (180 / Math.PI) * this.view.scale;
      // In wide rings near the lower rim: the middle is where spots are.
      const below = radius < 26 ? radius + 13 : 0.68 * radius;
      const box = [x - half - 4, y + below - 12, x + half + 4, y + below + 4];
      if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
      if (this.taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3])) continue;
      this.taken.push(box);
      pen.fillText(name, x, y + below);
    }
  }

  drawSpots(pen) {
    const [ink, edge] = [this.colour("ink"), this.colour("edge")];
    const fill = Object.fromEntries(["bright", "bright-pale", "dark", "dark-pale", "doubtful"].map((kind) => [kind, this.colour(kind)]));
    const paint = (row, ring) => {
      const [x, y] = this.screen(...this.where(row));
      const radius = this.radius(row);
      if (x < -20 || y < -20 || x > this.view.size[0] + 20 || y > this.view.size[1] + 20) return;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.globalAlpha = 0.8;
      pen.fillStyle = fill[kindOf(row)];
      pen.fill();
      pen.globalAlpha = 1;
      pen.lineWidth = 1;
      pen.strokeStyle = edge;
      pen.stroke();
      if (!ring) return;
      pen.beginPath();
      pen.arc(x, y, radius + 6, 0, 2 * Math.PI);
      pen.lineWidth = 2;
      pen.strokeStyle = ink;
      pen.stroke();
    };
    for (const row of this.rows) paint(row, false);
    if (this.selected >= 0 && this.rows.includes(this.selected)) paint(this.selected, true);
  }
}
