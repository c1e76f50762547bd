/* What belongs together: a row, its spot in the picture, its dot on the map. */

const state = { spot: -1, frame: -1, accept: () => true };

const picture = new Picture(byId("stage"), (row) => selectSpot(row, { near: false }));
const map = new CeresMap(byId("map-stage"), (row) => selectSpot(row));

const spotGrid = new Grid(byId("spot-grid"), spots, (row) => selectSpot(row), (row, column) => {
  if (column.name === "polarity") return make("span", { className: `mark ${kindOf(row)}`, textContent: spots.value(row, "polarity") });
  return null;
});

const frameGrid = new Grid(byId("frame-grid"), frames, (frame) => selectFrame(frame), (frame, column) => {
  if (column.name === "status") {
    const status = frames.value(frame, "status");
    return make("span", { className: `status ${status}`, textContent: status });
  }
  return null;
});

/** Show a detection everywhere. */
function selectSpot(row, { near = true } = {}) {
  state.spot = row;
  const inTable = spotGrid.select(row);
  const note = byId("spot-note");
  note.hidden = inTable;
  note.textContent = "The filters hide the selected detection: Clear shows its row.";
  showFrame(data.frame_of_spot[row]);
  picture.select(row, near);
  map.select(row);
  describeSpot(row);
}

/** Show a frame with nothing selected in it. */
function selectFrame(frame) {
  if (data.frame_of_spot[state.spot] !== frame) {
    state.spot = -1;
    spotGrid.select(-1);
    byId("spot-note").hidden = true;
    picture.selected = -1;
    map.select(-1);
    byId("spot-details").replaceChildren();
  }
  showFrame(frame);
  picture.mark();
}

function showFrame(frame) {
  const changed = frame !== state.frame;
  state.frame = frame;
  picture.show(frame);
  byId("picture-title").textContent = shorten(frames.value(frame, "frame"), 44);
  byId("picture-title").title = visible(frames.value(frame, "frame"));
  byId("frame-number").textContent = `${frame + 1} / ${frames.count}`;
  const overlay = frames.value(frame, "overlay");
  byId("overlay").hidden = !overlay;
  if (overlay) byId("overlay").href = `${data.overlays}/${encodeURIComponent(overlay)}`;
  if (!changed) return;
  frameGrid.select(frame);
  describeFrame(frame);
  if (byId("filters").elements.here.checked) applyFilters();
}

/** Terms and values; what is not known is left out. */
function terms(store, row, columns) {
  const list = make("dl");
  for (const column of columns) {
    const value = store.value(row, column.name);
    if (value === null || value === "") continue;
    const unit = column.unit && column.unit !== "px" ? ` ${column.unit === "deg" ? "\u00b0" : column.unit.replace("2", "\u00b2")}` : column.unit ? " px" : "";
    const text = column.number ? significant(value, column.unit === "deg" ? 6 : 4) + unit.replace(" \u00b0", "\u00b0") : visible(value).replaceAll("|", ", ");
    list.append(make("div", { title: column.meaning, className: text.length > 24 ? "long" : "" }, make("dt", { textContent: column.title }), make("dd", { textContent: text })));
  }
  return list;
}

/** A length with its error, both to the error's second digit. */
function withError(km, error_km) {
  const decimals = Math.min(Math.max(1 - Math.floor(Math.log10(error_km)), 0), 4);
  return `${fixed(km, decimals)} \u00b1 ${fixed(error_km, decimals)} km`;
}

function describeSpot(row) {
  const value = (name) => spots.value(row, name);
  const km = value("diameter_halfmax_km");
  const error = value("diameter_error_km");
  const limit = value("diameter_limit_km");
  let size = "size not known";
  if (limit !== null) size = `under ${significant(limit, 3)} km`;
  else if (km !== null && error) size = withError(km, error);
  else if (km !== null) size = `${significant(km, 3)} km`;
  else if (value("diameter_halfmax") !== null) size = `${significant(value("diameter_halfmax"), 3)} px, scale not known`;
  const head = make(
    "p",
    { className: "found" },
    make("strong", { textContent: `Detection ${value("detection_id")}` }),
    " ",
    make("span", { className: `mark ${kindOf(row)}`, textContent: value("polarity") }),
    ` ${size}`,
  );
  const parts = [head];
  const place = placeOf(row);
  if (place) parts.push(make("p", { textContent: place }));
  if (value("flags")) parts.push(make("p", { textContent: `Keep in mind: ${visible(value("flags")).replaceAll("|", ", ")}` }));
  if (value("reasons")) parts.push(make("p", { className: "quiet", textContent: visible(value("reasons")) }));
  const all = make("details", { open: byId("spot-details").querySelector("details")?.open ?? false });
  all.append(make("summary", { textContent: "All values" }), terms(spots, row, spots.columns));
  parts.push(all);
  byId("spot-details").replaceChildren(...parts);
}

function describeFrame(frame) {
  byId("frame-details").replaceChildren(
    make("p", { className: "found" }, make("strong", { textContent: visible(frames.value(frame, "frame")) })),
    terms(frames, frame, frames.columns.slice(1)),
  );
}

/** Read the filters and pass them on to the table, the picture and the map. */
function applyFilters() {
  const form = byId("filters").elements;
  const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const number = (field) => (field.value === "" ? null : Number(field.value));
  const bounds = [
    ["diameter_halfmax_km", number(form.diameter_min), number(form.diameter_max)],
    ["albedo_confidence", number(form.confidence), null],
    ["snr", number(form.snr), null],
  ].filter(([, low, high]) => low !== null || high !== null);
  const polarity = form.polarity.value;
  const [without, flag] = form.flag.value.startsWith("!") ? [true, form.flag.value.slice(1)] : [false, form.flag.value];
  const here = form.here.checked ? state.frame : null;
  state.accept = (row) => {
    if (here !== null && data.frame_of_spot[row] !== here) return false;
    if (polarity && spots.value(row, "polarity") !== polarity) return false;
    if (flag && spots.value(row, "flags").split("|").includes(flag) === without) return false;
    for (const [name, low, high] of bounds) {
      const value = spots.value(row, name);
      if (value === null || (low !== null && value < low) || (high !== null && value > high)) return false;
    }
    if (!words.length) return true;
    const text = `${spots.value(row, "frame")} ${spots.value(row, "reasons")} ${spots.value(row, "flags")}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  spotGrid.filter(state.accept);
  picture.filterBy(state.accept);
  map.filterBy(state.accept);
  const n = spotGrid.rows.length;
  byId("spot-count").textContent = n === spots.count ? plural(n, "detection") : `${n.toLocaleString("en")} of ${plural(spots.count, "detection")}`;
  byId("spot-note").hidden = state.spot < 0 || state.accept(state.spot);
}

function applyFrameFilters() {
  const form = byId("frame-filters").elements;
  const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  frameGrid.filter((frame) => {
    if (form.status.value && frames.value(frame, "status") !== form.status.value) return false;
    if (form.found.checked && !spotsOfFrame[frame].length) return false;
    const text = ["frame", "reason", "notes"].map((name) => frames.value(frame, name)).join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const n = frameGrid.rows.length;
  byId("frame-count").textContent = n === frames.count ? plural(n, "frame") : `${n.toLocaleString("en")} of ${plural(frames.count, "frame")}`;
}

/** Filters act as they are typed; the form itself is never sent. */
function listen(form, act) {
  form.addEventListener("input", (event) => event.target.closest("details") || act());
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(act));
}

function step(by) {
  const order = frameGrid.rows.length ? frameGrid.rows : [...Array(frames.count).keys()];
  const now = order.indexOf(state.frame);
  selectFrame(order[(now + by + order.length) % order.length]);
}

function chooseColumns() {
  const choices = byId("columns").querySelector(".choices");
  const update = () => spotGrid.show(spots.columns.filter((column) => column.shown));
  for (const column of spots.columns) {
    const box = make("input", { type: "checkbox", checked: column.shown });
    box.addEventListener("change", () => {
      column.shown = box.checked;
      update();
    });
    choices.append(make("label", { className: "check", title: column.meaning }, box, ` ${column.title}`));
  }
  update();
  // Clear empties the filters only.
  byId("filters").addEventListener("reset", () => setTimeout(() => {
    [...choices.querySelectorAll("input")].forEach((box, k) => { box.checked = spots.columns[k].shown; });
  }));
}

function start() {
  chooseColumns();
  frameGrid.show(frames.columns.filter((column) => column.shown));
  const flags = byId("filters").elements.flag;
  for (const name of data.flags) flags.append(make("option", { value: name, textContent: name }));
  for (const name of data.flags) flags.append(make("option", { value: `!${name}`, textContent: `not ${name}` }));
  spotGrid.none.textContent = spots.count ? "No detection passes the filters." : "No spot was found in these frames.";
  frameGrid.none.textContent = "No frame passes the filters.";
  listen(byId("filters"), applyFilters);
  listen(byId("frame-filters"), applyFrameFilters);
  for (const grid of [spotGrid, frameGrid]) {
    grid.table.addEventListener("keydown", (event) => {
      if (event.target === grid.table && !event.ctrlKey && !event.metaKey && picture.view.pressZoom(event.key)) event.preventDefault();
    });
  }
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("stretch").addEventListener("change", (event) => picture.setStretch(event.target.value));
  byId("outlines").addEventListener("change", (event) => picture.svg.classList.toggle("bare", !event.target.checked));
  byId("theme").addEventListener("change", (event) => {
    document.documentElement.style.colorScheme = event.target.value || "";
    map.view.change();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => map.view.change());
  const snr = spots.columns.find((column) => column.name === "snr");
  if (snr) spotGrid.sortBy(snr, true);
  applyFilters();
  applyFrameFilters();
  if (spotGrid.rows.length) selectSpot(spotGrid.rows[0], { near: false });
  else if (frames.count) selectFrame(0);
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
}

start();
