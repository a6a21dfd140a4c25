
"use strict";
/* Shows what matches the filter. It reads text and attributes, and writes nothing but `hidden` and its count. */
const form = document.getElementById("filter");
const list = document.getElementById("workspaces");
const table = document.getElementById("table");
const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
const lower = (element) => element.textContent.toLowerCase();

const sections = [...list.children].map((element) => ({
  element,
  state: element.dataset.state,
  rows: [...element.querySelectorAll(".findings tbody tr")].map((row) => ({ element: row, data: row.dataset })),
}));
const sectionOf = new Map(sections.map((section) => [section.element.id.slice(1), section]));
let lines = [...table.tBodies[0].rows].map((element) => ({
  element,
  section: sectionOf.get(element.dataset.w),
  state: element.dataset.state,
  rules: (element.dataset.rules || "").split(" "),
}));
const STEP = 250; // lines of the table at once: browsers take long to lay out thousands
const more = document.getElementById("more");
let limit = STEP;
const found = sections.reduce((sum, section) => sum + section.rows.length, 0);
const COLUMN = { error: 4, warning: 5, info: 6 };

function filterSection(section, want) {
  const text = (item) => (item.text ??= lower(item.element));
  const fits = (row) => (!want.severity || row.data.severity === want.severity) && (!want.rule || row.data.rule === want.rule);
  const narrowed = want.severity || want.rule;
  const possible = section.rows.filter(fits);
  let shown = possible.filter((row) => !want.text || text(row).includes(want.text));
  const named = !want.text || text(section).includes(want.text);
  if (named && !shown.length) shown = possible;
  const visible = (!want.state || section.state === want.state) && named && (shown.length > 0 || !narrowed);
  const kept = new Set(shown);
  for (const row of section.rows) row.element.hidden = !kept.has(row);
  section.element.hidden = !visible;
  return visible ? shown.length : 0;
}

function filterLine(line, want) {
  if (line.section) return !line.section.element.hidden;
  const cells = line.element.cells;
  line.text ??= lower(cells[0]);
  return (!want.state || line.state === want.state) && line.text.includes(want.text)
    && (!want.rule || line.rules.includes(want.rule))
    && (!want.severity || cells[COLUMN[want.severity]].textContent !== "0");
}

function apply() {
  const value = (name) => form.elements[name].value;
  const want = { text: value("text").trim().toLowerCase(), severity: value("severity"), state: value("state"), rule: value("rule") };
  const findings = sections.reduce((sum, section) => sum + filterSection(section, want), 0);
  let workspaces = 0;
  for (const line of lines) {
    const visible = filterLine(line, want);
    workspaces += visible;
    line.element.hidden = !visible || workspaces > limit;
  }
  more.hidden = workspaces <= limit;
  more.firstElementChild.textContent = `Show ${plural(Math.min(STEP, workspaces - limit), "more line")} of ${(workspaces - limit).toLocaleString("en")}`;
  const all = workspaces === lines.length && findings === found;
  const of = (number, total, noun) => (all ? plural(total, noun) : `${number.toLocaleString("en")} of ${plural(total, noun)}`);
  document.getElementById("count").textContent = `${of(findings, found, "finding")} in ${of(workspaces, lines.length, "workspace")}`;
  document.getElementById("nothing").hidden = workspaces > 0 || lines.length === 0;
}

let waiting = 0;
function applySoon() {
  limit = STEP;
  clearTimeout(waiting);
  waiting = setTimeout(apply, 120);
}
function clearFilter() {
  const sort = form.elements.sort.value;
  limit = STEP;
  form.reset();
  form.elements.sort.value = sort;
  apply();
}
form.addEventListener("input", applySoon);
form.addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll("[data-reset]")) {
  button.addEventListener("click", (event) => { event.preventDefault(); clearFilter(); form.elements.text.focus(); });
}
for (const button of document.querySelectorAll("[data-show]")) {
  button.parentElement.hidden = false;
  button.addEventListener("click", () => {
    clearFilter();
    form.elements.rule.value = button.dataset.show;
    apply();
    document.getElementById("findings").focus();
  });
}
more.addEventListener("click", () => { limit += STEP; apply(); });
form.hidden = false;
apply();
