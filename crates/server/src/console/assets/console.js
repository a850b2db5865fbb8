// What a page does better with a script. Everything can be read, and every form be sent, without it.
(() => {
  "use strict";

  // An error beside a form is where the reader goes first.
  document.querySelector("[data-focus]")?.focus();

  // A form is sent once: a second click waits for the first.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    const button = event.submitter;
    if (button) setTimeout(() => button.setAttribute("aria-disabled", "true"));
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) {
      delete form.dataset.sent;
      form.querySelectorAll("[aria-disabled]").forEach((button) => button.removeAttribute("aria-disabled"));
    }
  });

  // Filters that are chosen from a list take effect at once.
  document.querySelectorAll("form[data-live] select").forEach((select) =>
    select.addEventListener("change", () => select.form.requestSubmit()));

  // Files go up with a bar that shows how far they are.
  document.querySelectorAll("form[data-upload]").forEach((form) =>
    form.addEventListener("submit", (event) => {
      const file = form.querySelector("input[type=file]");
      if (!file?.files.length || !window.XMLHttpRequest) return;
      event.preventDefault();
      event.stopPropagation();
      const shown = form.querySelector(".upload-progress");
      const bar = shown?.querySelector("progress");
      if (shown) shown.hidden = false;
      const request = new XMLHttpRequest();
      request.upload.addEventListener("progress", (step) => {
        if (bar && step.lengthComputable) bar.value = Math.floor((100 * step.loaded) / step.total);
      });
      request.addEventListener("load", () => {
        if (request.responseURL && request.status < 400 && request.responseURL !== form.action) {
          location.assign(request.responseURL);
          return;
        }
        const answer = new DOMParser().parseFromString(request.responseText, "text/html");
        const main = answer.querySelector("main");
        if (!main) { location.reload(); return; }
        document.querySelector("main").replaceWith(document.importNode(main, true));
        document.querySelector("[data-focus]")?.focus();
      });
      request.addEventListener("error", () => { form.removeAttribute("data-upload"); form.submit(); });
      request.open("POST", form.action);
      request.send(new FormData(form));
    }));

  // The bell counts while the page is looked at.
  const bells = document.querySelectorAll(".bell");
  if (bells.length) {
    const count = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch("/notices/count", { headers: { accept: "application/json" } });
        if (!answer.ok) return;
        const { unread, label } = await answer.json();
        bells.forEach((bell) => {
          const badge = bell.querySelector(".badge-count");
          badge.textContent = Math.min(unread, 99);
          badge.hidden = unread === 0;
          bell.setAttribute("aria-label", label);
          bell.title = label;
        });
      } catch { /* The next turn asks again. */ }
    };
    setInterval(count, 20000);
  }

  // What an amount comes to is shown while it is typed, as the server says it.
  document.querySelectorAll("form[data-quote]").forEach((form) => {
    const target = document.getElementById(form.dataset.quote);
    let turn = 0;
    const ask = async () => {
      const mine = ++turn;
      const query = new URLSearchParams(new FormData(form));
      query.delete("form_token");
      const answer = await fetch(`${form.dataset.quoteUrl}?${query}`);
      const text = await answer.text();
      if (mine !== turn || !answer.ok) return;
      const fresh = new DOMParser().parseFromString(text, "text/html").getElementById(form.dataset.quote);
      if (fresh) target.replaceChildren(...document.importNode(fresh, true).childNodes);
    };
    let waiting;
    form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => ask().catch(() => {}), 250); });
  });
})();
