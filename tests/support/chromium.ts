/**
 * A headless Chromium, for tests that look at MLflow's UI: driven through the Chrome DevTools Protocol over a
 * WebSocket, with nothing to install but the browser. It resolves no host but 127.0.0.1.
 *
 * The browser is the one that `CHROMIUM` names, else the first found under the usual names in `/usr/bin`. Tests tell
 * `mlflowTest()` that they need it: `mlflowTest(name, { missing: missingChromium() }, …)`.
 */

import { Browser } from "./browser.ts";
export { missingChromium } from "./browser.ts";

/** How a page is opened. */
export interface PageOptions {
  /** The window's width, in CSS pixels. @default {1400} */
  readonly width?: number;
  /** The window's height, in CSS pixels. @default {1000} */
  readonly height?: number;
}

/** How long a page is waited for. */
export interface WaitOptions {
  /** The longest wait, in milliseconds. @default {30_000} */
  readonly timeout?: number;
}

/** A page in a browser of its own. Disposing of it ends the browser. */
export class Page implements AsyncDisposable {
  /** What the page itself said was wrong: uncaught exceptions, `console.error` and failed requests, in order. */
  readonly errors: string[] = [];
  readonly #browser: Browser;
  readonly #sessionId: string;

  private constructor(browser: Browser, sessionId: string) {
    this.#browser = browser;
    this.#sessionId = sessionId;
  }

  /** Starts a browser and opens an empty page in it. */
  static async open({ width = 1400, height = 1000 }: PageOptions = {}): Promise<Page> {
    const browser = await Browser.launch(width, height);
    try {
      const { targetId } = await browser.send<{ targetId: string }>("Target.createTarget", { url: "about:blank" });
      const { sessionId } = await browser.send<{ sessionId: string }>("Target.attachToTarget", {
        targetId,
        flatten: true,
      });
      const page = new Page(browser, sessionId);
      browser.onEvent = (method, params) => page.#note(method, params);
      for (const domain of ["Page", "Runtime", "Log"]) await page.#send(`${domain}.enable`);
      await page.#send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
      return page;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Goes to an address. A new `#` route of the same document is followed too. */
  async goto(url: string): Promise<void> {
    const { errorText } = await this.#send<{ errorText?: string }>("Page.navigate", { url });
    if (errorText) throw new Error(`Cannot open ${url}: ${errorText}`);
  }

  /** The visible text of the page and of the frames in it that come from the same server. */
  async text(): Promise<string> {
    return await this.evaluate<string>(TEXT);
  }

  /** Waits until the page's text holds `text`. */
  async waitForText(text: string, options: WaitOptions = {}): Promise<void> {
    await this.waitFor(`(${TEXT}).includes(${JSON.stringify(text)})`, options);
  }

  /** Waits until a JavaScript expression is true in the page. */
  async waitFor(expression: string, { timeout = 30_000 }: WaitOptions = {}): Promise<void> {
    const end = Date.now() + timeout;
    while (!await this.evaluate<boolean>(`!!(${expression})`)) {
      if (Date.now() > end) {
        throw new Error(
          `Cannot see what is waited for within ${timeout} ms: ${expression}\n` +
            `The page is ${await this.evaluate("location.href")} and says:\n${await this.text()}\n` +
            `Its errors:\n${this.errors.join("\n")}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Waits for an element and clicks it: a CSS selector, or `text=` and the whole visible text of the element. */
  async click(target: string, options: WaitOptions = {}): Promise<void> {
    const find = target.startsWith("text=")
      ? `[...document.querySelectorAll("body *")].findLast((e) =>
          e.innerText?.trim() === ${JSON.stringify(target.slice(5))} && e.getClientRects().length > 0)`
      : `document.querySelector(${JSON.stringify(target)})`;
    await this.waitFor(find, options);
    const { x, y } = await this.evaluate<{ x: number; y: number }>(`(() => {
      const element = ${find};
      element.scrollIntoView({ block: "center" });
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x: x + width / 2, y: y + height / 2 };
    })()`);
    for (const type of ["mousePressed", "mouseReleased"]) {
      await this.#send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 });
    }
  }

  /** Evaluates a JavaScript expression in the page, awaits it and returns its value. */
  async evaluate<T = unknown>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send<Evaluation>("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(`Cannot evaluate in page: ${describe(exceptionDetails)}`);
    return result.value as T;
  }

  /** Takes a picture of the window as PNG, and writes it to `path` where one is given. */
  async screenshot(path?: string): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.#send<{ data: string }>("Page.captureScreenshot", { format: "png" });
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    if (path !== undefined) await Deno.writeFile(path, bytes);
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser[Symbol.asyncDispose]();
  }

  #send<T>(method: string, params: Record<string, unknown> = {}): Promise<T> {
    return this.#browser.send<T>(method, params, this.#sessionId);
  }

  #note(method: string, params: unknown): void {
    if (method === "Runtime.exceptionThrown") {
      this.errors.push(describe((params as { exceptionDetails: ExceptionDetails }).exceptionDetails));
    } else if (method === "Runtime.consoleAPICalled") {
      const { type, args } = params as { type: string; args: readonly RemoteObject[] };
      if (type === "error") this.errors.push(args.map((arg) => arg.description ?? `${arg.value}`).join(" "));
    } else if (method === "Log.entryAdded") {
      const { entry } = params as { entry: { level: string; text: string; url?: string } };
      if (entry.level === "error") this.errors.push(`${entry.text} ${entry.url ?? ""}`.trim());
    }
  }
}

// A text artifact or an HTML one is shown in a frame; one from elsewhere has no readable document.
const TEXT = `[document, ...[...document.querySelectorAll("iframe")].map((frame) => {
  try { return frame.contentDocument; } catch { return null; }
})].map((doc) => doc?.body?.innerText ?? "").join("\\n")`;

interface RemoteObject {
  readonly value?: unknown;
  readonly description?: string;
}

interface ExceptionDetails {
  readonly text: string;
  readonly exception?: RemoteObject;
}

interface Evaluation {
  readonly result: RemoteObject;
  readonly exceptionDetails?: ExceptionDetails;
}

function describe({ text, exception }: ExceptionDetails): string {
  return exception?.description ?? `${text} ${exception?.value ?? ""}`.trim();
}
