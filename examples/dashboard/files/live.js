// Reads the page anew every half minute, and replaces its content where that has changed; never while somebody is in it.
const EVERY = 30_000;
const live = document.getElementById("live");

async function refresh() {
  const main = document.getElementById("main");
  if (document.hidden) return;
  if (main.contains(document.activeElement) || !getSelection().isCollapsed) return say("Paused while you read");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    for (const each of main.querySelectorAll("details[open]")) fresh.querySelector("#" + CSS.escape(each.id))?.setAttribute("open", "");
    if (fresh.innerHTML !== main.innerHTML) main.replaceChildren(...fresh.childNodes);
    say("Live");
  } catch {
    say("The dashboard does not answer");
  }
}

function say(text) {
  if (live.textContent !== text) live.textContent = text;
  live.classList.toggle("on-air", text === "Live");
}

setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
say("Live");
