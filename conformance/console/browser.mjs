// A headless Chromium that remembers every error of a page, and asks axe about it.
import { createRequire } from "node:module";
import fs from "node:fs";

const require = createRequire(process.env.CONSOLE_MODULES ? `${process.env.CONSOLE_MODULES}/x.js` : import.meta.url);
const puppeteer = require("puppeteer-core");
const axeSource = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const chromium = () => PLACES.find((place) => fs.existsSync(place));

export async function open() {
  const browser = await puppeteer.launch({
    executablePath: chromium(),
    headless: true,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--force-color-profile=srgb", "--font-render-hinting=none"],
  });
  return browser;
}

/** A person at a browser of their own: pages share cookies with nobody else. */
export class Reader {
  constructor(context, base) {
    this.context = context;
    this.base = base;
    this.errors = [];
    this.foreign = new Set();
    this.bytes = 0;
  }

  static async at(browser, base, { width = 1280, height = 900, theme, language } = {}) {
    const reader = new Reader(await browser.createBrowserContext(), base);
    const page = (reader.page = await reader.context.newPage());
    await page.setViewport({ width, height });
    if (language) await page.setExtraHTTPHeaders({ "accept-language": language });
    if (theme) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    // A refusal is an answer with a status, which Chromium notes as an error: those are told apart from faults of a page.
    page.on("console", (said) => {
      if (["error", "warn"].includes(said.type()) && !/the server responded with a status of 4\d\d/.test(said.text())) {
        reader.errors.push(`${page.url()}: ${said.text()}`);
      }
    });
    page.on("pageerror", (error) => reader.errors.push(`${page.url()}: ${error}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol.startsWith("http") && url.origin !== base) reader.foreign.add(url.origin);
    });
    page.on("response", (answer) => {
      if (answer.status() >= 500) reader.errors.push(`${answer.url()}: ${answer.status()}`);
    });
    return reader;
  }

  async go(path) {
    const answer = await this.page.goto(this.base + path, { waitUntil: "load" });
    return answer.status();
  }

  path() {
    const url = new URL(this.page.url());
    return url.pathname + url.search;
  }

  text(selector = "main") {
    return this.page.$eval(selector, (element) => element.innerText);
  }

  has(selector) {
    return this.page.$(selector).then(Boolean);
  }

  /** Types into fields by their names; a list is chosen from, a box is ticked by `true`. */
  async fill(values, form = "main form") {
    for (const [name, value] of Object.entries(values)) {
      const field = await this.page.waitForSelector(`${form} [name="${name}"]`, { timeout: 5000 });
      const kind = await field.evaluate((element) => (element.tagName === "SELECT" ? "select" : element.type));
      if (kind === "select") await field.select(value);
      else if (kind === "checkbox" || kind === "radio") await field.evaluate((box, on) => { box.checked = on; }, value);
      else if (kind === "file") await field.uploadFile(value);
      else if (kind === "date" || kind === "datetime-local") {
        await field.evaluate((input, text) => { input.value = text; input.dispatchEvent(new Event("input", { bubbles: true })); }, value);
      } else {
        await field.evaluate((input) => { input.value = ""; });
        await field.type(value);
      }
    }
  }

  /** Presses what the selector names, and waits for the page that it leads to. */
  async press(selector) {
    const button = await this.page.waitForSelector(selector, { timeout: 5000 });
    await Promise.all([this.page.waitForNavigation({ waitUntil: "load", timeout: 20000 }), button.evaluate((element) => element.click())]);
  }

  async signIn(email, password) {
    await this.go("/sign-in");
    await this.fill({ email, password }, "form#by-password");
    await this.press("form#by-password button");
  }

  /** What axe finds on the page, by the rules of WCAG 2.2 AA and its best practices. */
  async axe() {
    await this.page.evaluate(axeSource);
    const found = await this.page.evaluate(async () => {
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations } = await globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } });
      return violations.map((violation) => ({ id: violation.id, nodes: violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)) }));
    });
    return found.map(({ id, nodes }) => `${id}: ${nodes.join(" | ")}`);
  }

  /** Whether something is wider than the screen. */
  overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  close() {
    return this.context.close();
  }
}
