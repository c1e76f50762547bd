/* A table of any length: only the rows in sight are elements. Sorted by its heads, walked by arrow keys. */

const NARROW = matchMedia("(max-width: 640px)");
const COLLATOR = new Intl.Collator("en", { numeric: true });

class Grid {
  /**
   * @param {HTMLElement} box element that scrolls
   * @param {Store} store
   * @param {(row: number) => void} onSelect called when the person chooses a row
   * @param {(row: number, column: object) => ?HTMLElement} cell a cell's content, or null for its text
   */
  constructor(box, store, onSelect, cell = () => null) {
    Object.assign(this, { box, store, onSelect, cell });
    this.columns = store.columns;
    this.sort = { column: null, down: false };
    this.accept = () => true;
    this.selected = -1;
    this.rows = [];
    this.lines = new Map();
    this.table = make("table", { role: "grid", tabIndex: 0, ariaLabel: box.dataset.label });
    this.head = make("thead");
    this.body = make("tbody");
    this.columnGroup = make("colgroup");
    this.table.append(this.columnGroup, this.head, this.body);
    this.none = make("p", { className: "none", hidden: true });
    box.append(this.table, this.none);
    box.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(box);
    this.table.addEventListener("keydown", (event) => this.onKey(event));
    this.body.addEventListener("click", (event) => {
      const line = event.target.closest("tr[data-row]");
      if (line) this.choose(Number(line.dataset.row));
    });
    this.show(this.columns);
  }

  /** Show these columns. */
  show(columns) {
    this.columns = columns;
    this.columnGroup.replaceChildren(...columns.map((c) => make("col", { className: `w-${c.width}` })));
    const line = make("tr", { ariaRowIndex: 1 });
    for (const column of columns) {
      const unit = column.unit ? [" ", make("small", { textContent: column.unit })] : [];
      const button = make("button", { type: "button", title: column.meaning }, column.title, ...unit);
      button.addEventListener("click", () => this.sortBy(column));
      line.append(make("th", { scope: "col", className: column.number ? "number" : "" }, button));
    }
    this.head.replaceChildren(line);
    this.table.ariaColCount = columns.length;
    this.markSort();
    this.render();
  }

  sortBy(column, down = null) {
    const same = this.sort.column === column;
    // Numbers are looked at from the largest down.
    this.sort = { column, down: down ?? (same ? !this.sort.down : Boolean(column.number)) };
    this.markSort();
    this.refresh();
    this.box.scrollTop = 0;
  }

  markSort() {
    [...this.head.rows[0].cells].forEach((cell, k) => {
      const sorted = this.columns[k] === this.sort.column;
      cell.setAttribute("aria-sort", sorted ? (this.sort.down ? "descending" : "ascending") : "none");
    });
  }

  /** Show only rows that `accept` lets through. */
  filter(accept) {
    this.accept = accept;
    this.refresh();
  }

  /** Work out again which rows there are, and in which order. */
  refresh() {
    const rows = [];
    for (let row = 0; row < this.store.count; row++) if (this.accept(row)) rows.push(row);
    const { column, down } = this.sort;
    if (column) {
      const values = this.store.values[column.name];
      const compare = column.number ? (a, b) => a - b : COLLATOR.compare;
      const unknown = (v) => v === null || v === "";
      rows.sort((a, b) => {
        const u = values[a];
        const v = values[b];
        // What is not known comes last, whichever way.
        if (unknown(u) || unknown(v)) return unknown(u) - unknown(v) || a - b;
        return (down ? compare(v, u) : compare(u, v)) || a - b;
      });
    }
    this.rows = rows;
    this.place = new Map(rows.map((row, k) => [row, k]));
    this.table.ariaRowCount = rows.length + 1;
    this.none.hidden = rows.length > 0;
    this.render();
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.render({ afresh: false });
    });
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.box).getPropertyValue("--row"));
  }

  /** Make the rows in sight. Those that were there stay the same elements, so that a click is not lost. */
  render({ afresh = true } = {}) {
    const height = this.rowHeight;
    const spare = 6;
    const first = Math.max(0, Math.floor(this.box.scrollTop / height) - spare);
    const last = Math.min(this.rows.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / height) + spare);
    const lines = [this.gap(first * height)];
    const before = afresh ? new Map() : this.lines;
    this.lines = new Map();
    for (let k = first; k < last; k++) {
      const row = this.rows[k];
      this.lines.set(row, before.get(row) ?? this.line(row, k));
      lines.push(this.lines.get(row));
    }
    lines.push(this.gap((this.rows.length - last) * height));
    this.body.replaceChildren(...lines);
    this.table.setAttribute("aria-activedescendant", this.place?.has(this.selected) ? this.lineId(this.selected) : "");
  }

  lineId(row) {
    return `${this.box.id}-${row}`;
  }

  gap(height) {
    const line = make("tr", { className: "gap", ariaHidden: "true" }, make("td", { colSpan: this.columns.length }));
    line.firstChild.style.height = `${Math.max(height, 0)}px`;
    return line;
  }

  line(row, k) {
    const line = make("tr", { id: this.lineId(row), ariaRowIndex: k + 2, ariaSelected: String(row === this.selected) });
    line.dataset.row = row;
    for (const column of this.columns) {
      const text = this.store.text(row, column);
      const cell = make("td", { className: column.number ? "number" : "" });
      if (!column.number && text.length > 12) cell.title = text;
      cell.append(this.cell(row, column) ?? (column.width === "name" ? shorten(text, NARROW.matches ? 11 : 20) : text));
      line.append(cell);
    }
    return line;
  }

  /** Mark a row and bring it into sight; false where the filters hide it. */
  select(row) {
    for (const [number, line] of this.lines) line.ariaSelected = String(number === row);
    this.selected = row;
    const k = this.place.get(row);
    if (k === undefined) {
      this.render({ afresh: false });
      return false;
    }
    const height = this.rowHeight;
    const room = this.box.clientHeight - this.head.offsetHeight - height;
    const top = k * height;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top > this.box.scrollTop + room) this.box.scrollTop = top - room;
    this.render({ afresh: false });
    return true;
  }

  choose(row) {
    this.select(row);
    this.onSelect(row);
  }

  onKey(event) {
    if (event.target !== this.table || event.ctrlKey || event.metaKey || event.altKey || !this.rows.length) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight) - 2);
    const now = this.place.get(this.selected) ?? -1;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity, Enter: 0 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const wanted = now < 0 ? (event.key === "End" ? Infinity : 0) : now + steps[event.key];
    this.choose(this.rows[Math.min(Math.max(wanted, 0), this.rows.length - 1)]);
  }
}
