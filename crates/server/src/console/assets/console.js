// What a page does better with a script. Everything can be read, and every form be sent, without it.
(() => {
  "use strict";

  // An error beside a form is where the reader goes first.
  document.querySelector("[data-focus]")?.focus();

  // A form is sent once: a second click waits for the first.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.dataset.download !== undefined) return;
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

  // A picture no larger than anybody sees it, without where and by what it was taken.
  const shrunk = async (file, side) => {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, side / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(picture.width * scale));
    canvas.height = Math.max(1, Math.round(picture.height * scale));
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return new Promise((done, fail) => canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("no picture"))), "image/webp", 0.82));
  };

  const content = async (form, file) => {
    const data = new FormData(form);
    if (!form.dataset.shrink) return data;
    try {
      const [large, small] = await Promise.all(form.dataset.shrink.split(" ").map((side) => shrunk(file, Number(side))));
      data.set("file", large, "picture.webp");
      data.set("small", small, "small.webp");
    } catch { /* What is no picture, the server refuses. */ }
    return data;
  };

  // Files go up with a bar that shows how far they are.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    const file = form.dataset.upload === undefined ? undefined : form.querySelector("input[type=file]");
    if (event.defaultPrevented || !file?.files.length) return;
    event.preventDefault();
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
    content(form, file.files[0]).then((data) => {
      request.open("POST", form.action);
      request.send(data);
    });
  });

  // The bell counts while the page is looked at, and the page of notifications shows what is new.
  const bells = document.querySelectorAll(".bell");
  const notices = document.querySelector("[data-live-notices]");
  const ask = async (path) => {
    const answer = await fetch(path);
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    return answer;
  };
  const renew = async () => {
    const text = await (await ask(location.href)).text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-live-notices]");
    if (fresh) notices.replaceChildren(...document.importNode(fresh, true).childNodes);
  };
  const count = async () => {
    if (document.hidden) return;
    try {
      const { unread, label } = await (await ask("/notices/count")).json();
      const isNew = unread > Number(bells[0].dataset.unread);
      bells.forEach((bell) => {
        const badge = bell.querySelector(".badge-count");
        badge.textContent = Math.min(unread, 99);
        badge.hidden = unread === 0;
        bell.dataset.unread = unread;
        bell.setAttribute("aria-label", label);
        bell.title = label;
      });
      if (isNew) document.getElementById("bell-said").textContent = label;
      if (isNew && notices) await renew();
    } catch { /* The next turn asks again. */ }
  };
  if (bells.length) {
    setInterval(count, 10000);
    document.addEventListener("visibilitychange", count);
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
