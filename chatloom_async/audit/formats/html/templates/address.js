
/* Scrolls to the section or finding that the address names, also if it is not on the screen yet. */
function arrive() {
  const name = location.hash.slice(1);
  if (!name) return;
  if (!document.getElementById(name)) {
    const section = sections.find(({ html }) => html.includes(` id="${name}"`));
    if (!section) return;
    clearFilter();
    if (!document.getElementById(name)) {
      only = section;
      apply();
    }
  }
  const target = document.getElementById(name);
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
  (target.matches("article") ? target.querySelector("h3") : target).focus({ preventScroll: true });
}
addEventListener("hashchange", arrive);
arrive();
