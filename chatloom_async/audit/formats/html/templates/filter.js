"use strict";
/* Shows what matches the filter. The page has all workspaces as data; only those on the screen become elements. */
const form = document.getElementById("filter");
const list = document.getElementById("workspaces");
const table = document.getElementById("table");
const body = table.tBodies[0];
const data = JSON.parse(document.getElementById("data").textContent);
/* The sections were escaped when the report was written. Nothing else is read as HTML. */
const policy = self.trustedTypes ? trustedTypes.createPolicy("chatloom-report", { createHTML: (html) => html }) : { createHTML: (html) => html };
const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

const CELLS = ["name", "state", "agents", "domains", "error", "warning", "info", "requests"];
let lines = data.lines.map((values, number) => ({ number, values, name: values[0], state: values[1], rules: values[8] }));
const byNumber = [...lines];
const sections = data.sections.map(([number, html]) => ({ number, html, line: lines[number] }));
const sectionOf = new Map(sections.map((section) => [section.number, section]));
let ordered = sections;
let matching = sections;
let only = null; // the one section that an address asked for

const STEP = 250; // lines of the table at once
const SECTIONS = 20; // sections at once
const more = document.getElementById("more");
const moreSections = document.getElementById("more-sections");
let limit = STEP;
let sectionLimit = SECTIONS;

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&#34;": '"', "&#39;": "'" };
const plain = (html) => html.replace(/<[^>]*>/g, "").replace(/&(?:amp|lt|gt|#34|#39);/g, (entity) => ENTITIES[entity]).toLowerCase();

/* Splits a section into what is before its findings, each finding, and what is after them. */
function parts(section) {
  if (section.rows) return section;
  const [head, ...pieces] = section.html.split("<tr id=");
  section.head = pieces.length ? head : "";
  section.tail = pieces.length ? "" : head;
  section.rows = pieces.map((piece) => {
    const end = piece.indexOf("</tr>") + 5;
    section.tail = piece.slice(end);
    const html = "<tr id=" + piece.slice(0, end);
    const [, severity, rule] = /data-severity="(\w+)" data-rule="(\w+)"/.exec(html);
    return { html, severity, rule, text: plain(html) };
  });
  section.text = plain(section.html);
  return section;
}

/* The cards of agents are most of a section. They become elements when a reader opens their fold. */
const CARDS = /(<details class="fold agents">.*?<\/summary>)(.*)(<\/details>)/s;
const folded = (tail) => tail.replace(CARDS, "$1$3");
list.addEventListener("toggle", (event) => {
  const fold = event.target;
  if (!fold.open || !fold.matches(".agents") || fold.children.length > 1) return;
  const section = sectionOf.get(Number(fold.closest("article").id.slice(1)));
  const cards = document.createElement("template");
  cards.innerHTML = policy.createHTML(CARDS.exec(section.tail)[2]);
  fold.append(cards.content);
}, true);

function matches(section, want) {
  const { rows, text, line } = parts(section);
  const narrowed = want.severity || want.rule;
  const possible = narrowed ? rows.filter((row) => (!want.severity || row.severity === want.severity) && (!want.rule || row.rule === want.rule)) : rows;
  section.shown = want.text ? possible.filter((row) => row.text.includes(want.text)) : possible;
  const named = !want.text || text.includes(want.text);
  if (named && !section.shown.length) section.shown = possible;
  return (!want.state || line.state === want.state) && named && (section.shown.length > 0 || !narrowed) && (!only || only === section);
}

function lineMatches(line, want) {
  return (!want.state || line.state === want.state) && (line.lower ??= line.name.toLowerCase()).includes(want.text)
    && (!want.rule || ` ${line.rules} `.includes(` ${want.rule} `))
    && (!want.severity || line.values[CELLS.indexOf(want.severity)] > 0) && !only;
}

function lineElement(line) {
  const row = document.createElement("tr");
  const heading = document.createElement("th");
  heading.scope = "row";
  heading.dir = "auto";
  if (sectionOf.has(line.number)) {
    const link = document.createElement("a");
    link.href = `#w${line.number}`;
    link.textContent = line.name;
    heading.append(link);
  } else heading.textContent = line.name;
  row.append(heading);
  line.values.slice(1, CELLS.length).forEach((value, place) => {
    const cell = row.insertCell();
    cell.textContent = value;
    if (!place) cell.className = `s-${value}`;
  });
  return row;
}

function wanted() {
  const value = (name) => form.elements[name].value;
  return { text: value("text").trim().toLowerCase(), severity: value("severity"), state: value("state"), rule: value("rule") };
}

/* Finds what matches, and shows the first of it. */
function apply() {
  const want = wanted();
  const all = !only && !Object.values(want).some(Boolean);
  matching = all ? ordered : ordered.filter((section) => matches(section, want));
  const found = all ? data.findings : matching.reduce((sum, section) => sum + section.shown.length, 0);
  const inSections = new Set(all ? [] : matching.map((section) => section.number));
  const fits = (line) => (sectionOf.has(line.number) ? inSections.has(line.number) : lineMatches(line, want));
  const shown = all ? lines : lines.filter(fits);
  const html = matching.slice(0, sectionLimit).map((section) => {
    const { head, rows, tail } = parts(section);
    return head + (all ? rows : section.shown).map((row) => row.html).join("") + folded(tail);
  });
  list.innerHTML = policy.createHTML(html.join(""));
  body.replaceChildren(...shown.slice(0, limit).map(lineElement));
  tell(more, shown.length - limit, STEP, "line");
  tell(moreSections, matching.length - sectionLimit, SECTIONS, "workspace");
  const of = (number, total, noun) => (all ? plural(total, noun) : `${number.toLocaleString("en")} of ${plural(total, noun)}`);
  document.getElementById("count").textContent = `${of(found, data.findings, "finding")} in ${of(shown.length, lines.length, "workspace")}`;
  document.getElementById("nothing").hidden = shown.length > 0 || lines.length === 0;
}

function tell(place, left, step, noun) {
  place.hidden = left <= 0;
  place.firstElementChild.textContent = `Show ${plural(Math.min(step, left), `more ${noun}`)} of ${left.toLocaleString("en")}`;
}

function restart() {
  limit = STEP;
  sectionLimit = SECTIONS;
  only = null;
}
let waiting = 0;
function applySoon(event) {
  if (event.target.name === "sort") return;
  restart();
  clearTimeout(waiting);
  waiting = setTimeout(apply, 30);
}
function clearFilter() {
  const sort = form.elements.sort.value;
  restart();
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
moreSections.addEventListener("click", () => { sectionLimit += SECTIONS; apply(); });
addEventListener("beforeprint", () => { limit = Math.max(limit, 1000); sectionLimit = Math.max(sectionLimit, 200); apply(); });
form.hidden = false;
apply();
/* Makes the first search as fast as the others. */
const prepare = (from) => setTimeout(() => {
  for (const section of sections.slice(from, from + 200)) parts(section);
  if (from + 200 < sections.length) prepare(from + 200);
}, 20);
prepare(0);
