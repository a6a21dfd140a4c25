
/* Leads to what the address names, also where a filter or a fold hides it, and from the table to the workspaces. */
for (const line of lines) {
  if (!line.section) continue;
  const link = document.createElement("a");
  link.href = `#w${line.element.dataset.w}`;
  link.append(...line.element.cells[0].childNodes);
  line.element.cells[0].append(link);
}

function arrive() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  if (target.closest("[hidden]")) clearFilter();
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
  (target.matches("article") ? target.querySelector("h3") : target).focus({ preventScroll: true });
}
addEventListener("hashchange", arrive);
arrive();
