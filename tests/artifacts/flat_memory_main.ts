/** Uploads a file and downloads it again, and prints by how many bytes the process's peak of memory grew over that. */
import { openArtifacts } from "../../artifacts/open_repository.ts";

const [uri, trackingUri, file] = Deno.args;
const { repository, path } = await openArtifacts(uri, { trackingUri });

// What is loaded and made once is not what grows with a file.
await repository.write(`${path}/small.bin`, new Uint8Array(3_000_000));
await repository.upload(file, `${path}/small.bin`, { signal: AbortSignal.abort() }).catch(() => {});
await repository.download(`${path}/small.bin`, `${file}.small`);
const idle = peak();
await repository.upload(file, `${path}/big.bin`);
const uploaded = peak();
await repository.download(`${path}/big.bin`, `${file}.back`);
console.log(JSON.stringify({ upload: uploaded - idle, download: peak() - uploaded, idle }));
Deno.exit();

function peak(): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]) * 1024;
}
