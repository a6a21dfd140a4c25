
/* Sorts workspaces and lines. At first, sections are sorted by severity, and lines as in the list. */
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
let ranks = null; // place of each line by name: comparing numbers is faster than comparing texts
function rank(line) {
  if (!ranks) {
    ranks = new Uint32Array(byNumber.length);
    [...byNumber].sort((one, other) => collator.compare(one.name, other.name)).forEach((line, place) => { ranks[line.number] = place; });
  }
  return ranks[line.number];
}
setTimeout(() => { if (lines.length) rank(lines[0]); }, 600);
const byName = (one, other) => rank(one.line) - rank(other.line);
const findings = (line) => line.values[4] + line.values[5] + line.values[6];
const ORDERS = {
  name: byName,
  findings: (one, other) => findings(other.line) - findings(one.line) || byName(one, other),
  agents: (one, other) => other.line.values[2] - one.line.values[2] || byName(one, other),
};

form.elements.sort.addEventListener("change", () => {
  const order = ORDERS[form.elements.sort.value];
  ordered = order ? sections.toSorted(order) : sections;
  restart();
  apply();
});

const headings = [...table.tHead.rows[0].cells];
headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => {
  const numeric = column > 1;
  const up = heading.ariaSort ? heading.ariaSort === "descending" : !numeric;
  for (const other of headings) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const value = (line) => line.values[column];
  const compare = numeric ? (one, other) => value(one) - value(other)
    : column ? (one, other) => collator.compare(value(one), value(other)) : (one, other) => rank(one) - rank(other);
  lines = lines.toSorted((one, other) => (up ? compare(one, other) : compare(other, one)));
  limit = STEP;
  apply();
}));
