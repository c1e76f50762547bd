/* Elements and text. Whatever comes from data enters the page through here, as text only. */

const byId = (id) => document.getElementById(id);

/** An element with properties (attributes where there is no such property) and children. */
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in node) node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** An SVG element with attributes. */
function draw(tag, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** Text in which control and direction characters are seen instead of acting. */
function visible(text) {
  return String(text)
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

/** A name cut in its middle, where names of one folder are alike. */
function shorten(name, length) {
  const text = visible(name);
  if (text.length <= length) return text;
  const head = Math.floor((length - 1) / 3);
  return `${text.slice(0, head)}\u2026${text.slice(text.length - (length - 1 - head))}`;
}

const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

/** A number with the given decimals and a true minus sign; very large and small ones as powers. */
function fixed(value, decimals) {
  const size = Math.abs(value);
  const text = size >= 1e7 || (size > 0 && size < 1e-7) ? value.toExponential(2) : value.toFixed(decimals);
  return text.replace("-", "\u2212");
}

/** A number to some significant digits. */
function significant(value, digits = 4) {
  const text = String(Number(value.toPrecision(digits)));
  return text.replace("-", "\u2212");
}
