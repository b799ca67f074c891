// A program of its own, so that nothing is loaded before: draws one figure with what plots.ts says it needs.
import { trainingCurves } from "../../plots.ts";

console.log("imported");
const figure = await trainingCurves({ loss: [3, 2, 1] });
console.log((await figure.toPng()).length > 0 && (await figure.toSvg()).length > 0 ? "drawn" : "empty");
