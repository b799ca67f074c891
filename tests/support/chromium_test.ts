import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { missingChromium, Page } from "./chromium.ts";
import { gatedTest } from "./gate.ts";

const HTML = `<!doctype html><h1>top</h1><iframe srcdoc="<p>framed</p>"></iframe><button>press</button>
<script>
document.querySelector("button").onclick = () => document.querySelector("h1").innerText = "pressed";
console.error("wrong", 1);
setTimeout(() => { throw new Error("thrown"); });
</script>`;

gatedTest({
  name: "Page reads, clicks, pictures and notes what goes wrong",
  missing: missingChromium(),
  fn: async () => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
      const found = new URL(url).pathname === "/";
      return new Response(found ? HTML : "", { status: found ? 200 : 404, headers: { "content-type": "text/html" } });
    });
    await using page = await Page.open({ width: 640, height: 480 });
    await page.goto(`http://127.0.0.1:${server.addr.port}/`);
    await page.waitForText("framed");
    await page.click("text=press");
    await page.waitForText("pressed");
    const png = await page.screenshot();
    assertEquals([new DataView(png.buffer).getUint32(16), new DataView(png.buffer).getUint32(20)], [640, 480]);

    const error = await assertRejects(() => page.waitForText("absent", { timeout: 100 }), Error, "within 100 ms");
    assertStringIncludes(error.message, "pressed");
    assertEquals(page.errors.some((text) => text.startsWith("wrong 1")), true);
    assertEquals(page.errors.some((text) => text.startsWith("Error: thrown")), true);
    await assertRejects(() => page.evaluate("missing()"), Error, "missing is not defined");
    await assertRejects(() => page.goto("http://mlflow.invalid/"), Error, "ERR_NAME_NOT_RESOLVED");
  },
});
