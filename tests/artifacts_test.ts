import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { downloadArtifacts, listArtifacts, loadDict, loadImageArtifact, loadText, parseJson } from "../artifacts.ts";
import { MlflowClient } from "../client.ts";
import { MlflowError } from "../errors.ts";
import { encodeImage } from "../images.ts";

Deno.test("loadText() and the others read artifacts by URI", async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir({ prefix: "mlflow-deno-" }));
  const trackingUri = "memory:artifacts";
  try {
    const client = new MlflowClient(trackingUri);
    const experimentId = await client.createExperiment("a", { artifactLocation: join(dir, "kept") });
    const { info: { runId } } = await client.createRun({ experimentId });
    const image = { width: 2, height: 1, channels: 3 as const, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    await client.logText(runId, "é", "notes/a.txt");
    await client.logDict(runId, { a: [1, NaN] }, "d.json");
    await client.logDict(runId, { a: [1, "no"] }, "d.yaml");
    await client.logBytes(runId, await encodeImage(image, "png"), "i.png");
    await client.logStream(runId, new Blob(["streamed"]).stream(), "s.txt");
    const of = (path: string) => `runs:/${runId}/${path}`;
    const options = { trackingUri };
    assertEquals(await loadText(of("notes/a.txt"), options), "é");
    assertEquals(await loadText(join(dir, "kept", runId, "artifacts", "s.txt")), "streamed");
    assertEquals(await loadDict(of("d.json"), options), { a: [1, NaN] });
    assertEquals(await loadDict(of("d.yaml"), options), { a: [1, "no"] });
    assertEquals(await loadImageArtifact(of("i.png"), options), image);
    assertEquals((await listArtifacts(of(""), options)).map(({ path }) => path), [
      "d.json",
      "d.yaml",
      "i.png",
      "notes",
      "s.txt",
    ]);
    const copy = await downloadArtifacts(of("notes"), { ...options, localDirectory: join(dir, "copy") });
    assertEquals([copy, await Deno.readTextFile(join(copy, "a.txt"))], [join(dir, "copy", "notes"), "é"]);

    const { modelId } = await client.createLoggedModel({ experimentId, name: "m" });
    await client.logModelArtifact(modelId, join(copy, "a.txt"), "in");
    await client.logModelArtifacts(modelId, copy);
    assertEquals(await loadText(`models:/${modelId}/in/a.txt`, options), "é");
    const files = await client.listLoggedModelArtifacts(modelId);
    assertEquals(files.map(({ path }) => path), ["a.txt", "in"]);

    assertEquals(await client.loadText(runId, "notes/a.txt"), "é");
    assertEquals(await client.loadDict(runId, "d.yaml"), { a: [1, "no"] });
    assertEquals((await client.loadImage(runId, "i.png", { colorMode: "grayscale" })).channels, 1);
    const missing = await assertRejects(() => loadText(of("none.txt"), options), MlflowError);
    assertEquals(missing.message.startsWith(`Cannot read artifact "${of("none.txt")}": `), true);
    assertEquals(missing.code, "RESOURCE_DOES_NOT_EXIST");
    const wrong = await assertRejects(() => loadDict(of("s.txt"), options), MlflowError, "is not readable");
    assertEquals(wrong.code, "DATA_LOSS");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("parseJson() reads Python's words for numbers, and texts that look like them", () => {
  const text = String.raw`{"a": [NaN, -Infinity, Infinity, "NaN", "a NaN \" NaN", "\u0001NaN", "\\"], "NaN": -1}`;
  assertEquals(parseJson(text), {
    a: [NaN, -Infinity, Infinity, "NaN", 'a NaN " NaN', "\u0001NaN", "\\"],
    NaN: -1,
  });
});

Deno.test("parseJson() reads and refuses long texts at once", () => {
  const text = `"${String.raw`\"`.repeat(1e6)}`;
  assertEquals(parseJson(`[NaN, ${text}"]`), [NaN, '"'.repeat(1e6)]);
  assertThrows(() => parseJson(`[NaN, ${text}`), SyntaxError);
});
