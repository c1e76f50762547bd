/* What the run found: columns of the two tables, and words for their values. */

const data = JSON.parse(byId("data").textContent);

const LEFT_OUT = "\u2013";

/** A table stored by columns. */
class Store {
  constructor({ columns, values }) {
    this.columns = columns;
    this.values = values;
    this.count = columns.length ? values[columns[0].name].length : 0;
    for (const column of columns) {
      if (column.number) column.decimals = decimalsFor(values[column.name], column);
    }
  }

  value(row, name) {
    return this.values[name][row];
  }

  text(row, column) {
    const value = this.value(row, column.name);
    if (value === null || value === "") return LEFT_OUT;
    return column.number ? fixed(value, column.decimals) : visible(value);
  }
}

/** Decimals that give three digits to a column's middle value. */
function decimalsFor(values, column) {
  const known = values.filter((v) => v !== null && v !== 0).map(Math.abs);
  if (!known.length || known.every(Number.isInteger)) return 0;
  if (column.unit === "deg") return column.name.startsWith("l") ? 2 : 1;
  known.sort((a, b) => a - b);
  return Math.min(Math.max(2 - Math.floor(Math.log10(known[known.length >> 1])), 0), 6);
}

const spots = new Store(data.detections);
const frames = new Store(data.frames);

/** Rows of the detections of each frame. */
const spotsOfFrame = Array.from({ length: frames.count }, () => []);
for (let row = 0; row < spots.count; row++) spotsOfFrame[data.frame_of_spot[row]].push(row);

/** What decides the colour: polarity and confidence; what was not judged is not doubted. */
function kindOf(row) {
  const confidence = spots.value(row, "albedo_confidence") ?? 1;
  if (confidence < data.doubtful_below) return "doubtful";
  const polarity = spots.value(row, "polarity") === "dark" ? "dark" : "bright";
  return confidence < data.pale_below ? `${polarity}-pale` : polarity;
}

/** Where a detection is, in words: coordinates and the nearest named feature. */
function placeOf(row) {
  const latitude = spots.value(row, "latitude_deg");
  const longitude = spots.value(row, "longitude_deg");
  if (latitude === null || longitude === null) return "";
  const side = latitude < 0 ? "S" : "N";
  return `${Math.abs(latitude).toFixed(2)}\u00b0 ${side}, ${longitude.toFixed(2)}\u00b0 E${nearest(latitude, longitude)}`;
}

function nearest(latitude, longitude) {
  const radians = Math.PI / 180;
  const here = unitVector(latitude * radians, longitude * radians);
  let best = null;
  for (const [name, lat, lon, diameter_km] of data.names) {
    const there = unitVector(lat * radians, lon * radians);
    const cosine = here[0] * there[0] + here[1] * there[1] + here[2] * there[2];
    const away_km = Math.acos(Math.min(1, cosine)) * data.radius_km;
    const out_km = away_km - diameter_km / 2;
    // Of the features around a place the smallest says most.
    const rank = out_km < 0 ? diameter_km - 1e6 : out_km;
    if (best === null || rank < best.rank) best = { name, rank, away_km, inside: out_km < 0 };
  }
  if (best === null) return "";
  return best.inside ? `, in ${best.name}` : `, ${Math.round(best.away_km)} km from the centre of ${best.name}`;
}

function unitVector(latitude, longitude) {
  const c = Math.cos(latitude);
  return [c * Math.cos(longitude), c * Math.sin(longitude), Math.sin(latitude)];
}
