// What every suite of the console's cases stands on: how cases are counted, and what holds on every page.
let passed = 0;
let failed = 0;

/** Runs a case and counts it. */
export async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${String(error.stack ?? error).split("\n").slice(0, 4).join(" | ")}`);
  }
}

export const must = (holds, said) => {
  if (!holds) throw new Error(said);
};

/** The page that a reader sees now: nothing that axe finds, nothing wider than the screen, no error, nobody else asked. */
export async function sound(reader) {
  const found = await reader.axe();
  must(found.length === 0, `${reader.path()}: axe: ${found.join("; ")}`);
  const over = await reader.overflow();
  must(over <= 0, `${reader.path()}: ${over} px wider than the screen`);
  must(reader.errors.length === 0, reader.errors.join("; "));
  must(reader.foreign.size === 0, `asked ${[...reader.foreign]}`);
}

export async function visit(reader, place, status = 200) {
  const got = await reader.go(place);
  must(got === status, `${place}: ${got}`);
  await sound(reader);
}

export const main = (reader) => reader.text("main");

/** Presses the button of the form that runs this function, after what it asks for was typed. */
export async function act(reader, name, values = {}, within = "main") {
  const form = `${within} form[action="/act/${name}"]`;
  await reader.page.$$eval("main details", (all) => all.forEach((details) => { details.open = true; }));
  await reader.fill(values, form);
  await reader.press(`${form} button`);
  const text = await main(reader);
  must(/It was done/.test(text), `${name}: ${text.slice(0, 400)}`);
}

/** The code and the link of the last mail to an address. */
export async function mailed(base, to) {
  const answer = await fetch(`${base}/auth/v1/dev/mails?to=${encodeURIComponent(to)}`, { headers: { accept: "application/json" } });
  const mails = await answer.json();
  const text = mails[0]?.text ?? "";
  return { code: /\b(\d{6})\b/.exec(text)?.[1], link: /https?:\S+/.exec(text)?.[0] };
}

/** Says how many passed, and ends the process accordingly. */
export function done() {
  console.log(`${passed} passed, ${failed} failed, 0 skipped`);
  process.exit(failed ? 1 : 0);
}
