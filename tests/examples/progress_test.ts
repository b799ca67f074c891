import { assertEquals } from "@std/assert";
import { line, progress } from "../../examples/progress.ts";

function record(redraw: boolean, columns = 80) {
  const written: string[] = [];
  let time = 0;
  const shown = progress(2, 4, { redraw, columns, write: (text) => written.push(text), now: () => time });
  return { written, shown, at: (milliseconds: number) => time = milliseconds };
}

Deno.test("progress() writes one line an epoch into a pipe", () => {
  const { written, shown, at } = record(false);
  shown.onEpochBegin(0);
  for (let batch = 0; batch < 4; batch++) shown.onBatchEnd(batch, { batch, size: 32, loss: 1, acc: 0.5 });
  at(2000);
  shown.onEpochEnd(0, { val_loss: 3.1e-5, loss: 0.0476, acc: 0.7212, val_acc: 0.6911 });
  assertEquals(written, [
    "Epoch 1/2\n",
    "4/4 ━━━━━━━━━━━━━━━━━━━━ 2s 500ms/step - accuracy: 0.7212 - loss: 0.0476 - val_accuracy: 0.6911 - val_loss: 3.1000e-5\n",
  ]);
});

Deno.test("progress() redraws a terminal's line at most ten times a second, cut to its width", () => {
  const { written, shown, at } = record(true, 50);
  at(1000);
  shown.onEpochBegin(1);
  at(1100);
  shown.onBatchEnd(0, { batch: 0, size: 32, loss: 1.5, acc: 0.25 });
  at(1150);
  shown.onBatchEnd(1, { batch: 1, size: 32, loss: 1.5, acc: 0.25 });
  assertEquals(written, ["Epoch 2/2\n", "\r\x1b[2K1/4 ━━━━━─────────────── 0s 100ms/step - accurac…"]);
  at(2000);
  shown.onEpochEnd(1, { loss: NaN });
  assertEquals(written.at(-1), "\r\x1b[2K4/4 ━━━━━━━━━━━━━━━━━━━━ 1s 250ms/step - loss: NaN\n");
});

Deno.test("line() writes long and short times", () => {
  const time = (elapsed: number) => line(10, 10, elapsed, {}, true).split(" ").slice(2).join(" ");
  assertEquals(time(5), "0s 500us/step");
  assertEquals(time(65_000), "1:05 7s/step");
  assertEquals(time(3_665_000), "1:01:05 367s/step");
});
