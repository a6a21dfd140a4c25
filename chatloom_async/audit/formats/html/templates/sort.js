
/* Puts workspaces and lines into another order; the first one is that of the file, the worst first. */
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const nameOf = (section) => (section.name ??= section.element.querySelector("h3").textContent);
const byName = (one, other) => collator.compare(nameOf(one), nameOf(other));
const most = (name) => (one, other) => other.element.dataset[name] - one.element.dataset[name] || byName(one, other);
const ORDERS = { name: byName, findings: most("findings"), agents: most("agents") };

form.elements.sort.addEventListener("change", () => {
  const order = ORDERS[form.elements.sort.value];
  for (const section of order ? sections.toSorted(order) : sections) list.append(section.element);
});

const headings = [...table.tHead.rows[0].cells];
headings.forEach((heading, column) => heading.firstElementChild.addEventListener("click", () => {
  const numeric = column > 1;
  const up = heading.ariaSort ? heading.ariaSort === "descending" : !numeric;
  for (const each of headings) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const text = (line) => line.element.cells[column].textContent;
  const compare = numeric ? (one, other) => text(one) - text(other) : (one, other) => collator.compare(text(one), text(other));
  lines = lines.toSorted((one, other) => (up ? compare(one, other) : compare(other, one)));
  for (const line of lines) table.tBodies[0].append(line.element);
  apply();
}));
