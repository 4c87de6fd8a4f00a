"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- Tables: each head is a button that sorts its own table.
function valueOf(row, column) {
  const cell = row.cells[column];
  return cell ? cell.textContent.trim() : "";
}
function numberOf(text) {
  const found = text.replace(/(\d),(?=\d{3})/g, "$1").replace(/^±\s*/, "").match(/^[-+−]?(?:\d+(?:\.\d*)?|\.\d+|∞)(?:e[-+]?\d+)?/i);
  return found ? Number(found[0].replace("−", "-").replace("∞", "Infinity")) : NaN;
}
function compare(one, other, isNumber, sign) {
  if (!isNumber) return sign * one.localeCompare(other, "en", { numeric: true });
  const [a, b] = [numberOf(one), numberOf(other)];
  // What has no number stands last, whichever way the rest goes.
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
  return sign * (a < b ? -1 : a > b ? 1 : 0);
}
function sortBy(head) {
  const table = head.closest("table"), body = table.tBodies[0];
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const rows = [...body.rows];
  const isNumber = head.classList.contains("number");
  rows.sort((one, other) => compare(valueOf(one, head.cellIndex), valueOf(other, head.cellIndex), isNumber, sign));
  all("th[aria-sort]", table).forEach((th) => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  body.append(...rows);
}
for (const head of all("table.sortable thead th:not([data-unsorted])")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  button.addEventListener("click", () => sortBy(head));
  head.append(button);
}

// ---- Pictures: enlarged on a press; a row of samples shows what was before while it is pointed at.
const dialog = document.getElementById("zoomed");
const hides = (button) => (button.dataset.before ? document.getElementById(button.dataset.before) : null);
function enlarge(button) {
  const own = button.querySelector("img"), before = hides(button);
  const shown = [before, own].filter(Boolean).map((image) => {
    const copy = new Image();
    copy.src = image.dataset.own || image.src;
    copy.alt = image.alt;
    copy.className = button.classList.contains("strip") ? "samples" : "";
    return copy;
  });
  dialog.querySelector(".pictures").replaceChildren(...shown);
  dialog.querySelector("p").textContent = button.dataset.caption;
  dialog.showModal();
}
for (const button of all("button.zoom")) {
  button.addEventListener("click", () => enlarge(button));
  const image = button.querySelector("img"), before = hides(button);
  if (!before) continue;
  image.dataset.own = image.src;
  const show = (isBefore) => {
    image.src = isBefore ? before.src : image.dataset.own;
    button.classList.toggle("is-before", isBefore);
  };
  for (const event of ["mouseenter", "focus"]) button.addEventListener(event, () => show(true));
  for (const event of ["mouseleave", "blur"]) button.addEventListener(event, () => show(false));
}
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

// ---- Shapes of the legend: names of Vega, or paths.
const PATHS = {
  circle: "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z", square: "M-.85,-.85H.85V.85H-.85Z", diamond: "M0,-1.1L1,0L0,1.1L-1,0Z",
  cross: "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z", "triangle-up": "M0,-1L1,.8H-1Z", "triangle-down": "M0,1L1,-.8H-1Z",
  "triangle-left": "M-1,0L.8,-1V1Z", "triangle-right": "M1,0L-.8,-1V1Z",
};
for (const path of all("path[data-shape]")) path.setAttribute("d", PATHS[path.dataset.shape] || path.dataset.shape);

// ---- Charts and filters.
const charts = [];
const chosen = { model: "", method: "", hidden: new Set() };
const isShown = (method) => !chosen.hidden.has(method) && (!chosen.method || chosen.method === method);
function filter() {
  for (const part of all("[data-model]")) part.hidden = Boolean(chosen.model && part.dataset.model && part.dataset.model !== chosen.model);
  for (const row of all("tr[data-method]")) row.hidden = !isShown(row.dataset.method);
  for (const { view, points } of charts) {
    view.data("points", points.filter((point) => isShown(point.method))).runAsync();
  }
  // A chart that was hidden has no width until it is told to look.
  dispatchEvent(new Event("resize"));
}
for (const [name, select] of [["model", "filter-model"], ["method", "filter-method"]]) {
  const element = document.getElementById(select);
  if (element) element.addEventListener("change", () => { chosen[name] = element.value; filter(); });
}
for (const box of all(".legend input")) {
  box.addEventListener("change", () => { chosen.hidden[box.checked ? "delete" : "add"](box.value); filter(); });
}
async function draw(place, spec, points) {
  const options = { renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } };
  const { view } = await vegaEmbed(place, { ...spec, datasets: { points } }, options);
  charts.push({ view, points });
}
if (document.getElementById("points")) {
  const spec = JSON.parse(document.getElementById("chart").textContent);
  const points = JSON.parse(document.getElementById("points").textContent);
  Promise.all(all(".chart").map((place) => draw(place, spec, points[place.dataset.front])))
    .then(() => document.documentElement.setAttribute("data-ready", ""));
} else {
  document.documentElement.setAttribute("data-ready", "");
}

// ---- On paper everything is open.
addEventListener("beforeprint", () => all("details:not([open])").forEach((one) => { one.open = true; one.dataset.closed = ""; }));
addEventListener("afterprint", () => all("details[data-closed]").forEach((one) => { one.open = false; delete one.dataset.closed; }));
