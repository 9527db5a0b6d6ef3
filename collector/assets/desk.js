// Two conveniences. Every page works without this file.
"use strict";

// Fetches the page again and swaps the part that is marked live, unless somebody is at work in it.
for (const live of document.querySelectorAll("[data-refresh]")) {
  const every = Math.max(3, Number(live.dataset.refresh) || 30) * 1000;
  const from = live.dataset.from || location.href;
  setInterval(async () => {
    if (document.hidden || live.contains(document.activeElement)) return;
    try {
      const answer = await fetch(from, { headers: { accept: "text/html" }, redirect: "error" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(live.id);
      if (fresh) live.replaceChildren(...fresh.childNodes);
    } catch {
      // The collector is being restarted, or the network is away: what is shown stays, the next try comes.
    }
  }, every);
}

// A button that copies the command beside it; without script the command is selected by hand.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(source.textContent.trim());
    button.textContent = "Copied";
  });
}

// A choice in a filter takes effect at once; the button is for those without script.
for (const form of document.querySelectorAll("form[data-instant]")) {
  for (const button of form.querySelectorAll("button")) button.hidden = true;
  form.addEventListener("change", () => form.submit());
}
