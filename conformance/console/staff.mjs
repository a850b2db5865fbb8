// Staff's pages beside the story: rules and their versions, settings, jobs, health; rates of withholding, tax forms and
// accreditations; cases that are opened and taken back.

import { execFileSync } from "node:child_process";

/** Runs a function as a person by the API, as front ends of their own do. */
async function call(base, token, name, body) {
  const answer = await fetch(`${base}/functions/v1/${name}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const got = await answer.json();
  if (!answer.ok) throw new Error(`${name}: ${JSON.stringify(got)}`);
  return got;
}

async function signedIn(base, email, password) {
  const answer = await fetch(`${base}/auth/v1/token?grant_type=password`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  return (await answer.json()).access_token;
}

async function filed(base, token) {
  const form = new FormData();
  form.set("documentType", "other");
  form.set("fileName", "form.pdf");
  form.set("file", new Blob(["%PDF-1.4\n%%EOF\n"], { type: "application/pdf" }), "form.pdf");
  const answer = await fetch(`${base}/functions/v1/upload-kyc-document`, {
    method: "POST", headers: { authorization: `Bearer ${token}` }, body: form,
  });
  const got = await answer.json();
  if (!answer.ok) throw new Error(`upload: ${JSON.stringify(got)}`);
  return got.document.id;
}

export async function staff({ base, check, must, sound, visit, act, main, at, people: { manager, officer, admin, opener }, managed, buyer }) {
  await check("an admin reads fees and rule packs, and publishes a version", async () => {
    await visit(admin, "/administration/rules");
    must(/2\s%/.test(await main(admin)) && /In force/.test(await main(admin)), "no fee in force");
    await admin.press("main a[href^='/administration/rules/'][lang=en]");
    await sound(admin);
    const form = "form[action='/administration/rules']";
    must(/This is the first version/.test(await main(admin)), await main(admin));
    const before = await admin.page.$eval(`${form} [name=rules]`, (area) => area.value);
    const write = (text) => admin.page.$eval(`${form} [name=rules]`, (area, text) => { area.value = text; }, text);
    await write('[{ "rule": "no_such_rule", "source": "x" }]');
    await admin.press(`${form} button`);
    must(/no_such_rule/.test(await main(admin)), "not refused");
    must((await admin.page.$eval(`${form} [name=rules]`, (area) => area.value)).includes("no_such_rule"), "what was typed is gone");
    await sound(admin);
    await write(JSON.stringify([...JSON.parse(before), { rule: "holder_cap", parties: 1999, source: "platform policy" }]));
    await admin.press(`${form} button`);
    const text = await main(admin);
    must(/It was done/.test(text) && /Added/.test(text) && /parties: 1999/.test(text), text.slice(0, 600));
    await sound(admin);
  });

  await check("an admin sees what a fee will charge before it is published", async () => {
    await visit(admin, "/administration/rules");
    await admin.press("main a[href='/administration/fees']");
    await sound(admin);
    const form = "form[action='/administration/fees']";
    await admin.fill({ feeType: "platform", currency: "EUR", ratePpm: "2.5", fixed: "1.00", maximum: "250", note: "a first fee in euro", validFrom: at(1) }, form);
    await admin.press(`${form} button`);
    must(/is known 15 minutes before it holds/.test(await main(admin)), (await main(admin)).slice(0, 400));
    must((await admin.page.$eval(`${form} [name=note]`, (area) => area.value)) === "a first fee in euro", "what was typed is gone");
    await sound(admin);
    await admin.fill({ validFrom: at(60) }, form);
    await admin.press(`${form} button`);
    const shown = await main(admin);
    must(/26\.00/.test(shown) && /250\.00/.test(shown), shown);
    await sound(admin);
    await admin.press(`${form} button`);
    const text = await main(admin);
    must(/It was done/.test(text) && /a first fee in euro/.test(text) && /To come/.test(text), text.slice(0, 600));
  });

  await check("settings and measures are shown, and no secret", async () => {
    await visit(admin, "/administration/settings");
    const text = await main(admin);
    must(/data_dir/.test(text) && !/super-secret/.test(text), "not the settings");
    await visit(admin, "/administration/health");
    const health = await main(admin);
    for (const words of ["PostgreSQL", "Takes what is written", "Connections by role"]) must(health.includes(words), words);
    await visit(admin, "/administration/jobs");
    must(/Deadlines, closings and payouts run/.test(await main(admin)), await main(admin));
  });

  await check("a rate of withholding is proposed by one and approved by another", async () => {
    await visit(admin, "/compliance/rates");
    await admin.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
    await sound(admin);
    const rate = { sourceCountry: "GB", residencyCountry: "FR", validFrom: at(60), form: "DT-Individual", formVersion: "2026", source: "a treaty" };
    await admin.fill({ ...rate, ratePpm: "much" }, "form[action='/act/propose-withholding-rate']");
    await admin.press("form[action='/act/propose-withholding-rate'] button");
    must(/per cent are wanted/.test(await main(admin)), await main(admin));
    must((await admin.page.$eval("[name=form]", (input) => input.value)) === "DT-Individual", "what was typed is gone");
    await sound(admin);
    await admin.fill({ ratePpm: "12.5" }, "form[action='/act/propose-withholding-rate']");
    await admin.press("form[action='/act/propose-withholding-rate'] button");
    must(/It was done/.test(await main(admin)) && /12\.5/.test(await main(admin)), await main(admin));
    must(!(await admin.has("form[action='/act/approve-withholding-rate']")), "the proposer may not approve");
    await officer.go("/compliance/rates");
    await act(officer, "approve-withholding-rate");
    must(/To come/.test(await main(officer)), await main(officer));
    await sound(officer);
  });

  await check("a custodian's statement that is none says where, one that differs opens an incident", async () => {
    await visit(officer, "/compliance/custody");
    const form = "form[action='/compliance/custody']";
    const property = await officer.page.$eval(`${form} [name=propertyId] option:nth-child(2)`, (option) => option.value);
    await officer.fill({ propertyId: property, custodian: "A bank", accountRef: "ops-1", csv: "kind,date,amount,reference\nline,2026-01-02,5.00,x" }, form);
    await officer.press(`${form} button`);
    must(/first the opening/.test(await main(officer)), (await main(officer)).slice(0, 400));
    must((await officer.page.$eval("[name=csv]", (area) => area.value)).includes("5.00,x"), "what was typed is gone");
    await sound(officer);
    const csv = "kind,date,amount,reference\nopening,2020-01-01,10.00,\nclosing,2020-01-31,10.00,";
    await officer.fill({ csv }, form);
    await officer.press(`${form} button`);
    must(/differs from the ledger/.test(await main(officer)), (await main(officer)).slice(0, 400));
    await sound(officer);
  });

  await check("money that fits nothing is sent back", async () => {
    const property = managed.replace("/manage/", "");
    execFileSync(process.env.CONSOLE_PROGRAM, ["sandbox", "pay", "--property", property, "--amount", "7.00"]);
    await visit(admin, "/administration/money");
    must(/7\.00/.test(await main(admin)), "no such payment");
    await act(admin, "return-payment");
    const rows = await admin.page.$$eval("main tbody tr", (all) => all.map((row) => row.innerText));
    must(rows.some((row) => row.includes("7.00") && /Fits nothing/.test(row)), rows.join(" | "));
    await sound(admin);
  });

  const token = await signedIn(base, buyer.email, buyer.password);
  await check("an officer checks a tax form that somebody filed", async () => {
    await call(base, token, "file-tax-form", {
      form: "W-8BEN", formVersion: "2021-10", country: "GB", signedOn: at(-1440).slice(0, 10), documentIds: [await filed(base, token)],
    });
    await officer.go("/compliance");
    await officer.press("main a[href^='/compliance/tax-forms/']");
    await sound(officer);
    await officer.fill({ reason: "to compare the form with its document" });
    await officer.press("main form button");
    must(/W-8BEN/.test(await main(officer)) && /form\.pdf/.test(await main(officer)), await main(officer));
    await sound(officer);
    await officer.press("aside form:has(input[value=check]) button");
    must(/It was done/.test(await main(officer)) && /Checked/.test(await main(officer)), await main(officer));
  });

  await check("an officer takes an accreditation and decides", async () => {
    await call(base, token, "request-accreditation", { kind: "sophisticated", method: "income", submission: { note: "years of it" }, documentIds: [await filed(base, token)] });
    await officer.go("/compliance");
    await officer.press("main a[href^='/compliance/accreditation/']");
    await officer.fill({ reason: "to look at what was shown" });
    await officer.press("main form button");
    await sound(officer);
    await officer.press("aside form:has(input[value=approve]) button");
    must(/What helps/.test(await main(officer)), `who decides has taken it before: ${await main(officer)}`);
    await officer.press("aside form:has(input[value=take]) button");
    await officer.press("aside form:has(input[value=approve]) button");
    must(/Approved/.test(await main(officer)), await main(officer));
    await sound(officer);
  });

  await check("a winding up that names no amount is refused; a case is opened and taken back", async () => {
    await visit(officer, "/compliance/cases");
    await officer.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
    await sound(officer);
    const form = "form[action='/compliance/cases']";
    const property = await officer.page.$eval(`${form} [name=propertyId] option:nth-child(2)`, (option) => option.value);
    await officer.fill({ kind: "wind_up", propertyId: property, reason: "The house is sold." }, form);
    await officer.press(`${form} button`);
    must(/amount: a case of kind wind_up names it/i.test(await main(officer)), (await main(officer)).slice(0, 300));
    await officer.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
    await officer.fill({ amount: "1000000", accountRef: "ops-1", bankReference: "sale-1", bookedOn: at(-1440).slice(0, 10) }, form);
    await officer.press(`${form} button`);
    must(/Winding up/.test(await main(officer)) && /1,000,000\.00/.test(await main(officer)), (await main(officer)).slice(0, 600));
    await sound(officer);
    await act(officer, "cancel-holding-case");
    must(/Cancelled/.test(await main(officer)), (await main(officer)).slice(0, 600));
  });

  await check("a manager reads the register and asks for a redemption", async () => {
    await visit(manager, `${managed}/holders`);
    const party = await manager.page.$eval("main tbody th code", (code) => code.innerText);
    must(/100\.00/.test(await main(manager)), await main(manager));
    await manager.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
    await sound(manager);
    const form = "form[action='/act/open-holding-case']:has([name=partyId])";
    await manager.fill({ partyId: party, tokenAmount: "1", amount: "1.00", reason: "asked for by letter" }, form);
    await manager.press(`${form} button`);
    must(/It was done/.test(await main(manager)), await main(manager));
    await visit(officer, "/compliance/cases");
    must(/Redemption/.test(await main(officer)) && /asked for by letter/.test(await main(officer)), "the officer sees none");
    await manager.go(`${managed}/holders?at=2020-01-01T00:00`);
    must(/Nobody holds tokens/.test(await main(manager)), await main(manager));
    await sound(manager);
  });

  await check("reports and the bundle for regulators are files, for whom they are", async () => {
    await visit(officer, "/compliance/reports?q=Harbour");
    const got = (reader, selector) => reader.page.$eval(selector, async (form) => {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      return [answer.status, answer.headers.get("content-disposition"), await answer.text()];
    });
    for (const name of ["regulatory-evidence-export", "generate-audit-report", "generate-tokenization-report"]) {
      const [status, disposition, text] = await got(officer, `form[action='/reports/${name}']`);
      must(status === 200 && disposition.startsWith(`attachment; filename="${name}-`), `${name}: ${status} ${text.slice(0, 200)}`);
      must(/Harbour House|property_id/.test(text) && typeof JSON.parse(text) === "object", text.slice(0, 200));
    }
    await visit(manager, managed);
    const [status] = await got(manager, "form[action='/reports/generate-audit-report']");
    must(status === 200, `${status}`);
  });

  await check("an override of the gate is asked for by one overseer and approved by another", async () => {
    await officer.go("/compliance/evidence");
    const ending = "main section:nth-of-type(2) li.card";
    const cards = await officer.page.$$eval(ending, (all) => all.map((item) => item.innerText));
    const place = cards.findIndex((text) => text.includes("Simulated insurance"));
    must(place >= 0, cards.join(" | "));
    await act(officer, "review-document", { reason: "the insurer withdrew it" }, `${ending}:nth-of-type(${place + 1})`);
    await manager.go(managed);
    await act(manager, "create-offering", {
      rulePack: "open", kind: "issuer_owns", softCap: "10", hardCap: "20", opensAt: at(-5), closesAt: at(600), longStopAt: at(60 * 24 * 10),
    });
    await opener.go("/administration/offerings");
    await act(opener, "open-offering");
    await visit(officer, "/compliance/gate");
    must(/Harbour House/.test(await main(officer)) && /Lacks: Insurance/.test(await main(officer)), (await main(officer)).slice(0, 600));
    await officer.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
    await sound(officer);
    const form = "form[action='/act/request-gate-override']";
    await officer.fill({ reason: "the policy is being issued", validUntil: at(60 * 24 * 40) }, form);
    await officer.press(`${form} button`);
    must(/within 30 days/.test(await main(officer)), (await main(officer)).slice(0, 400));
    must((await officer.page.$eval(`${form} [name=reason]`, (area) => area.value)) === "the policy is being issued", "what was typed is gone");
    await sound(officer);
    await officer.fill({ validUntil: at(60 * 24 * 3) }, form);
    await officer.press(`${form} button`);
    must(/It was done/.test(await main(officer)) && /Requested/.test(await main(officer)), (await main(officer)).slice(0, 600));
    must(!(await officer.has("form[action='/act/approve-gate-override']")), "who asked may not approve");
    await admin.go("/compliance/gate");
    await act(admin, "approve-gate-override");
    must(/In force/.test(await main(admin)) && /the policy is being issued/.test(await main(admin)), (await main(admin)).slice(0, 600));
    await sound(admin);
  });
  await visit(opener, "/administration/rules");
}
