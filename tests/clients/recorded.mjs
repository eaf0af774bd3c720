// Recorded streams in, what a client made of them out: one JSON value a line, both ways.
//
//   node READER.mjs FOLDER-OF-CLIENTS < recordings
//
// A recording has the stream's bytes in base64 and the size of the pieces that it arrives in.

import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Loads an installed client by its name in package.json. */
export const client = createRequire(join(process.argv[2], "package.json"));

/** The response whose body is the recording. */
export function replay({ stream, pieceSize }) {
  const bytes = Buffer.from(stream, "base64");
  const body = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += pieceSize) {
        controller.enqueue(new Uint8Array(bytes.subarray(at, at + pieceSize)));
      }
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** Writes what `read` makes of each recording, in their order. */
export async function readAll(read) {
  for await (const line of createInterface({ input: process.stdin })) {
    const outcome = JSON.stringify(await read(JSON.parse(line)));
    if (!process.stdout.write(outcome + "\n")) {
      await new Promise((resolve) => process.stdout.once("drain", resolve));
    }
  }
}
