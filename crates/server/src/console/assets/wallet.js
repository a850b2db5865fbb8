// A wallet of the browser signs what the server wrote, and the form takes it there.
(() => {
  "use strict";
  const forms = document.querySelectorAll("form[data-wallet]");
  if (!forms.length) return;

  const found = () => {
    if (!window.ethereum) return;
    forms.forEach((form) => {
      form.querySelector("button").hidden = false;
      form.querySelector("[data-wallet-none]").hidden = true;
    });
  };
  found();
  window.addEventListener("ethereum#initialized", found, { once: true });

  const hex = (text) => `0x${Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const ask = (method, params) => window.ethereum.request({ method, params });
  const sign = async (form) => {
    const [address] = await ask("eth_requestAccounts");
    const chain = Number.parseInt(await ask("eth_chainId"), 16);
    const answer = await fetch(`${form.dataset.wallet}?${new URLSearchParams({ address, chain })}`);
    if (!answer.ok) throw new Error(String(answer.status));
    const message = await answer.text();
    form.elements.signature.value = await ask("personal_sign", [hex(message), address]);
    form.elements.message.value = message;
  };

  forms.forEach((form) =>
    form.addEventListener("submit", async (event) => {
      if (form.elements.signature.value) return;
      event.preventDefault();
      const button = form.querySelector("button");
      const said = form.querySelector("[role=status]");
      said.textContent = "";
      button.disabled = true;
      try {
        await sign(form);
      } catch (error) {
        // 4001: the person said no.
        said.textContent = error?.code === 4001 ? form.dataset.refused : form.dataset.failed;
        return;
      } finally {
        button.disabled = false;
      }
      form.requestSubmit(button);
    }));
})();
