// What people do with what is their own: wallets, addresses, sessions, papers, pictures, transfers, and a bell that rings by
// itself. usage: people.mjs BASE FOLDER PASSWORD, as story.mjs.
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import { Reader, open } from "./browser.mjs";
import { act, check, done, mailed, main, must, sound, visit } from "./cases.mjs";

const require = createRequire(process.env.CONSOLE_MODULES ? `${process.env.CONSOLE_MODULES}/x.js` : import.meta.url);
const { generatePrivateKey, privateKeyToAccount } = require("viem/accounts");

const [base, folder, password] = process.argv.slice(2);
const browser = await open();
const paper = path.join(folder, "paper.pdf");
if (!fs.existsSync(paper)) fs.writeFileSync(paper, "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n");

/** Puts a wallet with this key into a browser; it signs, or its owner says no. */
async function wallet(reader, key, { says = "yes" } = {}) {
  const account = privateKeyToAccount(key);
  await reader.page.exposeFunction("signByWallet", (raw) => account.signMessage({ message: { raw } }));
  await reader.page.evaluateOnNewDocument((address, says) => {
    const answers = {
      eth_requestAccounts: () => [address],
      eth_chainId: () => "0x1",
      personal_sign: ([text]) => {
        if (says !== "yes") throw Object.assign(new Error("no"), { code: 4001 });
        return window.signByWallet(text);
      },
    };
    window.ethereum = { request: async ({ method, params }) => answers[method](params) };
  }, account.address.toLowerCase(), says);
  return account.address;
}

const key = generatePrivateKey();
const holder = await Reader.at(browser, base, {});

await check("where there is no wallet, the page says what to do", async () => {
  const reader = await Reader.at(browser, base, {});
  await visit(reader, "/sign-in");
  must(/no wallet in this browser/.test(await main(reader)), "says nothing");
  must(await reader.page.$eval("#by-wallet button", (button) => button.hidden), "a button that can do nothing");
  await reader.close();
});

await check("whoever says no to the wallet is told that nothing was signed", async () => {
  const reader = await Reader.at(browser, base, {});
  await wallet(reader, generatePrivateKey(), { says: "no" });
  await reader.go("/sign-in");
  await reader.page.click("#by-wallet button");
  await reader.page.waitForFunction(() => /Nothing was signed/.test(document.querySelector("#by-wallet").innerText), { timeout: 5000 });
  await sound(reader);
  await reader.close();
});

await check("a wallet signs in, and its login has a page", async () => {
  const address = await wallet(holder, key);
  await holder.go("/sign-in?next=/account");
  await holder.press("#by-wallet button");
  must(holder.path() === "/account", holder.path());
  await sound(holder);
  const text = await main(holder);
  must(text.includes(address), "the wallet is not named");
  must(/has no address yet/.test(text), "an address from nowhere");
});

const email = `wallet.${Date.now()}@example.com`;
const person = await Reader.at(browser, base, {});
const second = generatePrivateKey();

await check("somebody with a password adds a wallet, and signs in by it", async () => {
  await person.go("/sign-up");
  await person.fill({ name: "Walid Wallet", email, password: "a horse that is correct" });
  await person.press("main form button");
  if (person.path().startsWith("/sign-in/code")) {
    const { code } = await mailed(base, email);
    await person.fill({ code });
    await person.press("main form[action='/sign-in/code'] button");
  }
  await wallet(person, second);
  await person.go("/account");
  await person.press("form[action='/account/wallets'] button");
  must(/sign in by this wallet now/.test(await main(person)), (await main(person)).slice(0, 300));
  await sound(person);
  await person.press(".top .session form[action='/sign-out'] button");
  await person.go("/sign-in?next=/account");
  await person.press("#by-wallet button");
  must(/Walid Wallet/.test(await person.text(".top")), "somebody else came in");
});

await check("a wallet of somebody else cannot be added", async () => {
  const reader = await Reader.at(browser, base, {});
  await wallet(reader, key);
  await reader.signIn(email, "a horse that is correct");
  await reader.go("/account");
  await reader.press("form[action='/account/wallets'] button");
  must(/signs in by this already/.test(await main(reader)), (await main(reader)).slice(0, 300));
  await sound(reader);
  await reader.close();
});

await check("a session is ended from another browser", async () => {
  const other = await Reader.at(browser, base, {});
  await other.signIn(email, "a horse that is correct");
  must((await other.go("/portfolio")) === 200 && other.path() === "/portfolio", other.path());
  await person.go("/account");
  must((await person.page.$$("#sessions li")).length >= 2, "the other session is not shown");
  const before = (await person.page.$$("#sessions li form")).length;
  // The newest one of those that are not this one.
  await person.press("#sessions li form button");
  must(/That session has ended/.test(await main(person)), "says nothing");
  must((await person.page.$$("#sessions li form")).length === before - 1, "it is there still");
  await sound(person);
  await other.go("/portfolio");
  must(other.path().startsWith("/sign-in"), `the other browser is in still: ${other.path()}`);
  await other.close();
});

await check("a way to sign in is taken away", async () => {
  await person.go("/account");
  await person.press("form[action='/account/ways/remove'] button");
  must(/cannot sign in that way/.test(await main(person)), (await main(person)).slice(0, 300));
});

await check("another address, to which both agree", async () => {
  const next = `new.${email}`;
  await person.go("/account");
  await person.fill({ email: next }, "form[action='/account/email']");
  await person.press("form[action='/account/email'] button");
  must(/Waits until both addresses agree/.test(await main(person)), (await main(person)).slice(0, 400));
  await sound(person);
  const links = [(await mailed(base, email)).link, (await mailed(base, next)).link];
  must(links[0] && links[1] && links[0] !== links[1], `no two links: ${links}`);
  await person.page.goto(links[0], { waitUntil: "load" });
  must(/This address agrees/.test(await main(person)), `${person.path()}: ${(await main(person)).slice(0, 300)}`);
  await person.page.goto(links[1], { waitUntil: "load" });
  must(/Your address is changed/.test(await main(person)), `${person.path()}: ${(await main(person)).slice(0, 300)}`);
  must((await person.text("#address")).includes(next), "the old address still");
});

await check("a person asks to be accredited, and takes it back", async () => {
  await visit(person, "/accreditation");
  await person.fill({ kind: "proof_of_income", file: paper }, "form[data-upload]");
  await person.press("form[data-upload] button");
  must(person.path().startsWith("/accreditation"), person.path());
  await person.fill({ kind: "accredited", method: "income", net_worth: "many" }, "form[action='/accreditation']");
  await person.press("form[action='/accreditation'] button");
  must(/net worth is an amount/i.test(await main(person)), (await main(person)).slice(0, 300));
  must((await person.page.$eval("[name=net_worth]", (input) => input.value)) === "many", "what was typed is gone");
  await person.fill({ net_worth: "1,250,000" }, "form[action='/accreditation']");
  await person.press("form[action='/accreditation'] button");
  must(/Submitted/.test(await main(person)), (await main(person)).slice(0, 300));
  await sound(person);
  await act(person, "withdraw-accreditation");
});

await check("the entry test says how many answers were right, and is passed", async () => {
  await visit(person, "/entry-test");
  const tick = (letters) => person.page.evaluate((letters) => {
    for (const [name, letter] of Object.entries(letters)) document.querySelector(`[name="answer-${name}"][value="${letter}"]`).checked = true;
  }, letters);
  const right = { loss: "b", sale: "b", guarantee: "a", spread: "c", reflection: "a", share: "b" };
  await tick({ ...right, loss: "a", sale: "a" });
  await person.press("form[action='/entry-test'] button");
  must(/4 of your answers were right; 5 are needed/.test(await main(person)), (await main(person)).slice(0, 300));
  await sound(person);
  await tick(right);
  await person.press("form[action='/entry-test'] button");
  must(/Entry test/.test(await main(person)) && /Approved/.test(await main(person)), (await main(person)).slice(0, 400));
});

await check("a tax form is filed with its document", async () => {
  await visit(person, "/tax-forms");
  await person.fill({ kind: "tax_form", file: paper }, "form[data-upload]");
  await person.press("form[data-upload] button");
  await person.fill({ form: "W-8BEN", version: "2021-10", country: "GB", signed_on: new Date(Date.now() + 864e5 * 3).toISOString().slice(0, 10) }, "form[action='/tax-forms']");
  await person.press("form[action='/tax-forms'] button");
  must(/the day is to come/.test(await main(person)), (await main(person)).slice(0, 300));
  await person.fill({ signed_on: new Date(Date.now() - 864e5 * 3).toISOString().slice(0, 10) }, "form[action='/tax-forms']");
  await person.press("form[action='/tax-forms'] button");
  must(/W-8BEN/.test(await main(person)) && /Filed/.test(await main(person)), (await main(person)).slice(0, 300));
  await sound(person);
});

const giver = await Reader.at(browser, base, {});
const getter = await Reader.at(browser, base, {});

/** Signs in the first two of the demo's people who hold something. */
async function holders() {
  const names = ["ada.abbott", "ada.bianchi", "ada.castillo", "ada.dubois", "ada.eriksen", "ada.fischer", "ada.gupta", "ada.haddad"];
  const readers = [giver, getter];
  let at = 0;
  for (const name of names) {
    await readers[at].signIn(`${name}@demo.example`, password);
    await readers[at].go("/transfers");
    if (await readers[at].has("form[action='/transfers']")) at += 1;
    else await readers[at].press(".top .session form[action='/sign-out'] button");
    if (at === 2) return;
  }
  throw new Error("nobody holds anything");
}

await check("tokens are offered, the bell of who gets them rings by itself, and the offer is declined", async () => {
  await holders();
  await sound(giver);
  const number = await getter.text(".secret");
  await getter.go("/notices");
  const before = Number(await getter.page.$eval(".bell", (bell) => bell.dataset.unread));
  await giver.fill({ tokens: "1", kind: "gift", to: "00000000-0000-0000-0000-000000000000", reason: "a birthday" }, "form[action='/transfers']");
  await giver.press("form[action='/transfers'] button");
  must(/Nobody has this number/.test(await main(giver)), (await main(giver)).slice(0, 300));
  must((await giver.page.$eval("[name=reason]", (area) => area.value)) === "a birthday", "what was typed is gone");
  await giver.fill({ to: number.trim() }, "form[action='/transfers']");
  await giver.press("form[action='/transfers'] button");
  must(/You give: 1 token/.test(await main(giver)), (await main(giver)).slice(0, 400));
  await sound(giver);
  await getter.page.bringToFront();
  await getter.page.waitForFunction(
    (before) => Number(document.querySelector(".bell").dataset.unread) > before && /Tokens are offered to you/.test(document.querySelector("main").innerText),
    { timeout: 30000 }, before,
  );
  await sound(getter);
  await visit(getter, "/transfers");
  await act(getter, "decline-transfer");
  await sound(getter);
});

const manager = await Reader.at(browser, base, {});
const pictures = [];

await check("a manager puts up pictures, orders and describes them, and everybody sees them", async () => {
  await manager.signIn("manager@demo.example", password);
  await visit(manager, "/properties?stage=completed");
  for (const name of ["one", "two"]) {
    const place = path.join(folder, `${name}.png`);
    await manager.page.screenshot({ path: place });
    pictures.push(place);
  }
  const mine = await manager.page.goto(`${base}/manage`, { waitUntil: "load" }).then(() =>
    manager.page.$$eval("main .property-card", (all) => all.filter((card) => /Completed/.test(card.innerText)).map((card) => card.querySelector("a").getAttribute("href"))));
  must(mine.length > 0, "the demo's manager has no property that everybody sees");
  const place = `${mine[0]}/pictures`;
  await visit(manager, place);
  must(/No pictures yet/.test(await main(manager)), (await main(manager)).slice(0, 300));
  for (const [at, text] of ["The street, from the corner", "The garden"].entries()) {
    await manager.fill({ text, file: pictures[at] }, "form[data-upload]");
    await manager.press("form[data-upload] button");
    must((await main(manager)).includes("It was done"), (await main(manager)).slice(0, 300));
  }
  await sound(manager);
  const texts = () => manager.page.$$eval(".picture-list [name=text]", (all) => all.map((input) => input.value));
  must((await texts()).join() === "The street, from the corner,The garden", await texts());
  await manager.press(".picture-list li:nth-child(2) button[value=earlier]");
  must((await texts())[0] === "The garden", await texts());
  await manager.fill({ text: "The garden, in May" }, ".picture-list li:first-child form");
  await manager.press(".picture-list li:first-child button[value=describe]");
  const visitor = await Reader.at(browser, base, {});
  await visit(visitor, mine[0].replace("/manage/", "/properties/"));
  const shown = await visitor.page.$$eval(".gallery img", async (all) => Promise.all(all.map(async (img) => {
    img.loading = "eager";
    await img.decode();
    return `${img.alt}: ${img.naturalWidth > 0}`;
  })));
  must(shown.join() === "The garden, in May: true,The street, from the corner: true", shown.join());
  await visit(visitor, "/properties?stage=completed");
  must((await visitor.page.$$eval(".card-picture", (all) => all.map((img) => img.alt))).includes("The garden, in May"), "no picture on the card");
  await visitor.close();
  await manager.press(".picture-list li:nth-child(2) button[value=remove]");
  must((await texts()).join() === "The garden, in May", await texts());
});

await check("what is no picture is refused, and what was typed stays", async () => {
  await manager.fill({ text: "A paper", file: paper }, "form[data-upload]");
  await manager.page.click("form[data-upload] button");
  await manager.page.waitForSelector("main .alert.stop", { timeout: 10000 });
  must(/is not taken here/.test(await main(manager)), (await main(manager)).slice(0, 300));
  must((await manager.page.$eval("form[data-upload] [name=text]", (input) => input.value)) === "A paper", "the text is gone");
  await sound(manager);
});

await check("people's own pages in both languages and themes, on a telephone", async () => {
  for (const theme of ["light", "dark"]) {
    for (const language of ["en", "ar"]) {
      const reader = await Reader.at(browser, base, { theme, language, width: 360 });
      await reader.signIn("ada.abbott@demo.example", password);
      for (const place of ["/account", "/verification", "/accreditation", "/entry-test", "/tax-forms", "/transfers", "/portfolio", "/notices"]) await visit(reader, place);
      await reader.close();
    }
  }
});

await check("no page had an error", async () => {
  const errors = [holder, person, giver, getter, manager].flatMap((reader) => reader.errors);
  must(errors.length === 0, errors.join("; "));
});

await browser.close();
done();
