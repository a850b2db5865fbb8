// The whole story in a browser: visitor, sign-up, verification, tokenizing with evidence, sale, rent, statement; axe on every
// page, and no error of a page anywhere. usage: story.mjs BASE FOLDER PASSWORD: a server with --dev-keys on the demo's
// database, whose people have that password.
import fs from "node:fs";
import path from "node:path";
import { Reader, open } from "./browser.mjs";
import { act, check, done, mailed, main, must, sound, visit } from "./cases.mjs";
import { staff } from "./staff.mjs";

const [base, folder, password] = process.argv.slice(2);
const browser = await open();

const paper = path.join(folder, "paper.pdf");
fs.writeFileSync(paper, "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [] /Count 0 >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n");

const at = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString().slice(0, 16);
const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

const visitor = await Reader.at(browser, base, {});
let house;

await check("a visitor reads the first page, the list, a property, and the design", async () => {
  await visit(visitor, "/");
  must(/The platform today/.test(await main(visitor)), "no figures");
  await visit(visitor, "/properties");
  must(await visitor.has(".map circle"), "no point on the map");
  await visit(visitor, "/properties?stage=completed&sort=area");
  await visitor.press("main .property-card h3 a");
  await sound(visitor);
  house = visitor.path();
  const text = await main(visitor);
  for (const words of ["Evidence", "Current", "Income", "Risks", "Holders"]) must(text.includes(words), `no ${words}`);
  await visit(visitor, "/design");
});

await check("filters, order and pages stand in the address, and nothing found says what to do", async () => {
  await visitor.go("/properties");
  await visitor.fill({ q: "townhouse" }, "form.filters");
  await visitor.press("form.filters button");
  must(visitor.path().includes("q=townhouse"), visitor.path());
  await visitor.press("nav.pager a[rel=next]");
  must(visitor.path().includes("q=townhouse") && visitor.path().includes("page=2"), visitor.path());
  await visit(visitor, "/properties?q=no+such+house");
  must(/Nothing fits this search/.test(await main(visitor)), "says nothing");
});

await check("what is not there, or not for visitors, says so", async () => {
  await visit(visitor, "/no/such/page", 404);
  await visit(visitor, "/properties/00000000-0000-0000-0000-000000000000", 404);
  await visitor.go("/portfolio");
  must(visitor.path() === "/sign-in?next=%2Fportfolio", visitor.path());
});

await check("six pages in both themes and both languages, on a telephone and on a wide screen", async () => {
  for (const theme of ["light", "dark"]) {
    for (const language of ["en", "ar"]) {
      for (const width of [360, 1920]) {
        const reader = await Reader.at(browser, base, { theme, language, width });
        for (const place of ["/", "/properties", house, "/sign-in", "/sign-up", "/design"]) await visit(reader, place);
        await reader.close();
      }
    }
  }
});

await check("everything can be read without a script", async () => {
  const reader = await Reader.at(browser, base, {});
  await reader.page.setJavaScriptEnabled(false);
  must((await reader.go(house)) === 200, "not there");
  const html = await reader.page.content();
  must(html.includes("Evidence") && html.includes("<table>"), "not readable");
  await reader.close();
});

await check("the first page is light", async () => {
  const reader = await Reader.at(browser, base, {});
  const session = await reader.page.createCDPSession();
  await session.send("Network.enable");
  let bytes = 0;
  session.on("Network.loadingFinished", (done) => { bytes += done.encodedDataLength; });
  await reader.page.goto(`${base}/`, { waitUntil: "networkidle0" });
  console.log(`        the first page and all that it loads: ${bytes} bytes`);
  must(bytes > 5_000 && bytes < 60_000, `${bytes} bytes`);
  await reader.close();
});

await check("language and theme are kept", async () => {
  const reader = await Reader.at(browser, base, { language: "en" });
  await reader.go("/properties?sort=area");
  await reader.press("button[name=language][value=ar]");
  must(reader.path() === "/properties?sort=area", reader.path());
  must((await reader.page.$eval("html", (html) => `${html.lang} ${html.dir}`)) === "ar rtl", "not Arabic");
  await reader.press("button[name=theme][value=dark]");
  must((await reader.page.$eval("html", (html) => html.dataset.theme)) === "dark", "not dark");
  await sound(reader);
  await reader.close();
});

await check("a form of another site is refused", async () => {
  const answers = await Promise.all([
    fetch(`${base}/preferences`, { method: "POST", headers: { origin: "https://evil.example" }, body: new URLSearchParams({ theme: "dark" }), redirect: "manual" }),
    fetch(`${base}/preferences`, { method: "POST", headers: { "sec-fetch-site": "cross-site" }, body: new URLSearchParams({ theme: "dark" }), redirect: "manual" }),
    fetch(`${base}/preferences`, { method: "POST", body: new URLSearchParams({ theme: "dark" }), redirect: "manual" }),
  ]);
  must(answers.every((answer) => answer.status === 403), answers.map((answer) => answer.status).join());
});

const investor = await Reader.at(browser, base, {});
const email = `nadia.${Date.now()}@example.com`;
const secret = "a horse that is correct";

await check("a wrong password says so and keeps the address", async () => {
  await investor.go("/sign-in?next=/portfolio");
  await investor.fill({ email, password: "wrong" }, "form#by-password");
  await investor.press("form#by-password button");
  must(/do not fit together/.test(await main(investor)), "says nothing");
  must((await investor.page.$eval("form#by-password [name=email]", (input) => input.value)) === email, "the address is gone");
  await sound(investor);
});

await check("somebody signs up, by the mailed link", async () => {
  await investor.go("/sign-up");
  await investor.fill({ name: "Nadia Newcomer", email, password: secret });
  await investor.press("main form button");
  if (investor.path().startsWith("/sign-in/code")) {
    await sound(investor);
    const { link } = await mailed(base, email);
    must(link, "no mail");
    await investor.page.goto(link, { waitUntil: "load" });
  }
  must(investor.path().startsWith("/verification"), investor.path());
  await sound(investor);
});

await check("and out, and in again by a mailed code", async () => {
  await investor.press(".top .session form[action='/sign-out'] button");
  must(investor.path() === "/", investor.path());
  await investor.go("/sign-in");
  // Two mails to one address are a minute apart: a developer's server has that minute too, so the password is used where it has.
  await investor.fill({ email }, "form#by-mail");
  await investor.press("form#by-mail button");
  if (investor.path().startsWith("/sign-in/code")) {
    const { code } = await mailed(base, email);
    await investor.fill({ code });
    await investor.press("main form[action='/sign-in/code'] button");
  } else {
    must(/a moment ago/.test(await main(investor)), "neither a mail nor a reason");
    await investor.signIn(email, secret);
  }
  await visit(investor, "/account");
  must(/Nadia Newcomer/.test(await investor.text(".top")), "not signed in");
});

await check("empty pages say what to do", async () => {
  await visit(investor, "/portfolio");
  must(/You hold nothing yet/.test(await main(investor)), "says nothing");
  await visit(investor, "/notices");
  must(/Nothing to tell you yet/.test(await main(investor)), "says nothing");
});

await check("the profile is saved, and other people's pages are not there", async () => {
  await investor.go("/account");
  await investor.fill({ display_name: "Nadia N." }, "form[action='/account/profile']");
  await investor.press("form[action='/account/profile'] button");
  must(/Nadia N\./.test(await investor.text(".top")), "not saved");
  for (const place of ["/compliance", "/manage", "/administration", "/compliance/trail", "/administration/ledger"]) {
    must((await investor.go(place)) === 404, place);
  }
});

await check("a person files a document and submits the details", async () => {
  await investor.go("/verification");
  await investor.fill({ kind: "passport", file: paper });
  await investor.press("main form[data-upload] button");
  must(/paper\.pdf/.test(await main(investor)), await main(investor));
  await sound(investor);
  await investor.fill({ legal_name: "Nadia Newcomer", born_on: "1990-05-01", country: "GB", address: "1 High Street, London" }, "form[action='/verification']");
  await investor.press("form[action='/verification'] button");
  must(/under way/.test(await main(investor)), await main(investor));
  await sound(investor);
});

const officer = await Reader.at(browser, base, {});
await check("an officer says why, looks, screens and approves", async () => {
  await officer.signIn("officer@demo.example", password);
  await visit(officer, "/compliance");
  await officer.press("main tbody th a");
  await sound(officer);
  const form = (name) => `aside form:has(input[name=act][value=${name}])`;
  await officer.fill({ reason: "to compare the passport with what was submitted" });
  await officer.press("main form button");
  must(/Nadia Newcomer/.test(await main(officer)), "nothing to see");
  await sound(officer);
  await officer.press(`${form("take")} button`);
  await officer.fill({ screening: "clear", provider: "by hand" }, form("screen"));
  await officer.press(`${form("screen")} button`);
  await officer.fill({ legal_name: "Nadia Newcomer", country: "GB" }, form("approve"));
  await officer.press(`${form("approve")} button`);
  must(/It was done/.test(await main(officer)), await main(officer));
  await sound(officer);
});

await check("the person is told, and verified", async () => {
  await visit(investor, "/notices");
  must((await investor.page.$$("main .notice-item.unread")).length >= 2, "not told");
  await investor.press("form[action='/notices/read'] button");
  must((await investor.page.$$("main .notice-item.unread")).length === 0, "still unread");
  await visit(investor, "/verification");
  must(/is verified/.test(await main(investor)), await main(investor));
});

const manager = await Reader.at(browser, base, {});
let managed;
await check("a manager files a property, its evidence and its first step", async () => {
  await manager.signIn("manager@demo.example", password);
  await visit(manager, "/manage");
  await manager.fill({ title: "Harbour House (simulated)", description: "A house by the harbour.", address: "7 Quay Road", city: "Bristol", country: "United Kingdom", location: "Bristol, UK" }, "form[action='/manage']");
  await manager.press("form[action='/manage'] button");
  managed = manager.path().split("?")[0];
  must(managed.startsWith("/manage/"), managed);
  await sound(manager);
  await act(manager, "monitor-tokenization");
  for (const kind of ["deed", "insurance", "appraisal", "entity_papers"]) {
    await manager.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
    await manager.fill({ documentType: kind, documentName: `Simulated ${kind}`, source: "simulated", issuedOn: day(-10), expiresOn: day(kind === "insurance" ? 50 : 300), audience: "verified", file: paper }, "form[data-upload]");
    await manager.press("form[data-upload] button");
    must(new RegExp(`Simulated ${kind}`).test(await main(manager)), kind);
  }
  await sound(manager);
});

const settle = async (reader, title) => {
  await reader.go("/compliance/decisions");
  const found = await reader.page.$$eval("main li.card", (all, title) => all.map((item, at) => [item.innerText.includes(title), at]).filter(([is]) => is).map(([, at]) => at), title);
  must(found.length > 0, `nothing waits of ${title}`);
  return `main li.card:nth-of-type(${found[0] + 1})`;
};

await check("an officer accepts the evidence", async () => {
  await visit(officer, "/compliance/evidence");
  for (let turn = 0; turn < 4; turn += 1) {
    await act(officer, "review-document");
  }
  must(/No document waits/.test(await main(officer)), "something still waits");
  await sound(officer);
});

const admin = await Reader.at(browser, base, {});
await check("the steps go from hand to hand up to the audit", async () => {
  await admin.signIn("admin2@demo.example", password);
  const title = "Harbour House";
  for (const step of ["submission", "valuation", "legal_structuring"]) {
    await manager.go(managed);
    await act(manager, "submit-step");
    await act(officer, "approve-step", {}, await settle(officer, title));
  }
  await act(officer, "submit-step", {}, await settle(officer, title));
  await act(admin, "approve-step", {}, await settle(admin, title));
  await manager.go(managed);
  await act(manager, "submit-step", { name: "Harbour House", symbol: "HARB", totalSupply: "1,000", tokenPrice: "100.00" });
  await act(officer, "approve-step", {}, await settle(officer, title));
  await sound(officer);
});

await check("staff's pages are sound", async () => {
  for (const place of ["/compliance", "/compliance/decisions", "/compliance/cases", "/compliance/trail"]) await visit(officer, place);
  for (const place of ["/administration", "/administration/offerings", "/administration/money", "/administration/ledger", "/administration/ledger/accounts/1", "/administration/ledger/entries/1", "/administration/health", "/administration/rules", "/administration/jobs", "/administration/settings"]) await visit(admin, place);
  await visit(manager, managed);
  await visit(manager, `${managed}/rent`);
});

await check("the chain is verified from the page", async () => {
  await officer.go("/compliance/trail");
  await officer.press("form[action='/compliance/trail/verify'] button");
  must(/The chain holds/.test(await main(officer)), (await main(officer)).slice(0, 300));
  await sound(officer);
});

let nadia;
await check("an admin gives a role and ends it", async () => {
  await admin.go(`/administration?q=${encodeURIComponent(email)}`);
  await admin.fill({ role: "compliance_officer" }, "form:has(input[value=give])");
  await admin.press("form:has(input[value=give]) button");
  await admin.go(`/administration?q=${encodeURIComponent(email)}`);
  must(/Compliance officer/.test(await main(admin)), "not given");
  nadia = await admin.page.$eval("main input[name=user]", (input) => input.value);
  await admin.press("form:has(input[value=end]) button");
});

const shop = { title: "Harbour House" };
const waited = async (reader, place, pattern, said) => {
  // The server's jobs come round every few seconds.
  for (let turn = 0; turn < 60; turn += 1) {
    await reader.go(place);
    if (pattern.test(await main(reader))) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`${said}: ${(await main(reader)).slice(0, 300)}`);
};

const opener = await Reader.at(browser, base, {});
await check("the property is audited and launched", async () => {
  await opener.signIn("admin@demo.example", password);
  await act(officer, "audit-property-contract", {}, await settle(officer, shop.title));
  await act(officer, "submit-step", {}, await settle(officer, shop.title));
  await act(admin, "approve-step", {}, await settle(admin, shop.title));
  await act(opener, "launch-tokenization", {}, await settle(opener, shop.title));
  await sound(opener);
});

await check("an offering is prepared by the manager and opened by an admin", async () => {
  await manager.go(managed);
  await act(manager, "create-offering", {
    rulePack: "open", kind: "issuer_owns", softCap: "10", hardCap: "20", opensAt: at(-5), closesAt: at(600), longStopAt: at(60 * 24 * 10),
  });
  await sound(manager);
  await act(manager, "invite-to-offering", { userId: nadia });
  await manager.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
  const form = "main form[action='/act/invite-to-offering']";
  await manager.fill({ userId: "00000000-0000-4000-8000-000000000000" }, form);
  await manager.press(`${form} button`);
  must(/is not there/.test(await main(manager)), await main(manager));
  must((await manager.page.$eval("[name=userId]", (input) => input.value)).endsWith("000"), "what was typed is gone");
  await sound(manager);
  await opener.go("/administration/offerings");
  await sound(opener);
  await act(opener, "open-offering");
});

shop.place = (managed ?? "").replace("/manage/", "/properties/");
await check("an investor sees whether he may buy, and what it costs", async () => {
  await visit(investor, shop.place);
  await investor.press("main aside a.button");
  await sound(investor);
  must(/May you buy\?\s*Yes/.test(await main(investor)), (await main(investor)).slice(0, 400));
  await investor.fill({ tokens: "20" });
  await investor.page.waitForFunction(() => /2,040\.00/.test(document.getElementById("buy-quote").innerText), { timeout: 10000 });
  await sound(investor);
});

await check("too many are refused with what helps, and what was typed stays", async () => {
  await investor.fill({ tokens: "500" });
  await investor.press("form#buy button:not([name])");
  const text = await main(investor);
  must(/What helps/.test(text), text.slice(0, 400));
  must((await investor.page.$eval("form#buy [name=tokens]", (input) => input.value)) === "500", "the amount is gone");
  await sound(investor);
});

await check("tokens are reserved and paid for, and there is a receipt", async () => {
  await investor.go(`${shop.place}/buy`);
  await investor.fill({ tokens: "20" });
  await investor.press("form#buy button:not([name])");
  must(investor.path().startsWith("/sandbox/checkout/"), investor.path());
  await investor.press("form button");
  must(investor.path().startsWith("/investments/"), investor.path());
  shop.investment = investor.path();
  await waited(investor, shop.investment, /Paid\. Your money lies in escrow/, "not paid");
  must(/2,040\.00/.test(await main(investor)), "no charge");
  await sound(investor);
});

await check("the sale closes and the tokens are held", async () => {
  await waited(opener, "/administration/offerings", /Funded|Closed/, "not funded");
  if (await opener.has("form[action='/act/close-offering']")) await act(opener, "close-offering");
  await waited(investor, shop.investment, /The tokens are yours/, "not closed");
  await visit(investor, "/portfolio");
  must(/2,040\.00/.test(await main(investor)), "no holding");
});

await check("rent that does not fit is refused line by line, and what was typed stays", async () => {
  await manager.go(`${managed}/rent`);
  const sheet = path.join(folder, "lines.csv");
  fs.writeFileSync(sheet, `\ufeffaccount,reference,kind,amount,day,for\r\nops-1,r-2,rent,1,${day(-40)},"too, early"\r\n`);
  const form = `form[action='${managed}/rent'][method=post]`;
  await manager.fill({ periodFrom: day(-31), periodTo: day(-1), account: "ops-1", "row1-amount": "many", "row1-day": day(-5), "row1-for": "x", file: sheet }, form);
  await manager.press(`${form} button`);
  const text = await main(manager);
  for (const words of [/row 1: "many" is no amount/, /row 1: account, reference/, /line 2: .* is not a day of the period/]) must(words.test(text), text.slice(0, 700));
  must((await manager.page.$eval("[name=lines]", (area) => area.value)).includes("too, early"), "the lines are gone");
  must((await manager.page.$eval("[name=row1-amount]", (input) => input.value)) === "many", "the row is gone");
  must(/No period was recorded/.test(text), "something was recorded");
  await sound(manager);
});

await check("rent is recorded, approved, proposed, declared with a what-if, and paid", async () => {
  await manager.go(`${managed}/rent`);
  const lines = `ops-1, hh-1, rent, 500.00, ${day(-20)}, rent`;
  const row = { "row1-kind": "insurance", "row1-amount": "40.00", "row1-day": day(-18), "row1-reference": "hh-2", "row1-for": "insurance" };
  const form = `form[action='${managed}/rent'][method=post]`;
  await manager.fill({ periodFrom: day(-31), periodTo: day(-1), account: "ops-1", lines, ...row }, form);
  await manager.press(`${form} button`);
  must(/Recorded/.test(await main(manager)), (await main(manager)).slice(0, 600));
  await act(officer, "approve-performance", {}, await settle(officer, shop.title));
  await manager.go(`${managed}/rent`);
  must(!(await manager.has("form[action='/act/declare-distribution']")), "proposed before it was looked at");
  await manager.press("#propose form[method=get] button");
  must(/What it would come to now/.test(await main(manager)) && /Holders/i.test(await main(manager)), await main(manager));
  await sound(manager);
  await act(manager, "declare-distribution");
  const where = await settle(officer, shop.title);
  must(/Distributable/.test(await main(officer)), "no what-if");
  await sound(officer);
  await act(officer, "approve-distribution", {}, where);
  await opener.go("/administration/offerings");
  await act(opener, "pay-distribution");
  await waited(investor, "/portfolio", /Income by month/, "no income");
  await sound(investor);
});

await check("the statement of the year is a PDF", async () => {
  const answer = await investor.page.evaluate(async () => {
    const link = document.querySelector("a[href^='/portfolio/statements/']");
    const got = await fetch(link.href);
    const bytes = new Uint8Array(await got.arrayBuffer());
    return [got.status, got.headers.get("content-type"), String.fromCharCode(...bytes.slice(0, 5)), bytes.length];
  });
  must(answer[0] === 200 && answer[1] === "application/pdf" && answer[2] === "%PDF-" && answer[3] > 5000, answer.join());
});

await check("everything still adds up in the ledger", async () => {
  await visit(admin, "/administration/ledger");
  const text = await main(admin);
  must(/It adds up/.test(text) && !/does not add up/.test(text), "the sums differ");
});

await staff({ base, check, must, sound, visit, act, main, at, people: { manager, officer, admin, opener }, managed, buyer: { email, password: secret } });

const people = { visitor, investor, officer, manager, admin, opener };
await check("no page had an error", async () => {
  const errors = Object.values(people).flatMap((reader) => reader.errors);
  must(errors.length === 0, errors.join("; "));
});

await browser.close();
done();
