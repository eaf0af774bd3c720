// What the AI SDK makes of a recorded stream: the chunks, the message, the errors, and the body
// that its transport sends for the next turn. Each recording says which version reads it.

import { client, readAll, replay } from "./recorded.mjs";

const QUESTION = { id: "question", role: "user", parts: [{ type: "text", text: "Hi" }] };

/** Sends the messages through the default transport; `fetch` answers. */
function send(sdk, fetch, messages) {
  const transport = new sdk.DefaultChatTransport({ api: "http://127.0.0.1/", fetch });
  return transport.sendMessages({
    chatId: "chat",
    messages,
    trigger: "submit-message",
    messageId: undefined,
    abortSignal: undefined,
  });
}

/** The body that the transport sends with the messages. */
async function bodyOf(sdk, messages) {
  let body;
  const refuse = async (_url, request) => {
    body = request.body;
    return new Response("enough", { status: 400 });
  };
  await send(sdk, refuse, messages).catch(() => undefined);
  return body;
}

await readAll(async (recording) => {
  const sdk = client(`ai-${recording.version}`);
  const stream = await send(sdk, async () => replay(recording), [QUESTION]);
  const chunks = [];
  const errors = [];
  const seen = stream.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        chunks.push(structuredClone(chunk));
        controller.enqueue(chunk);
      },
    }),
  );
  let message = null;
  const states = sdk.readUIMessageStream({
    stream: seen,
    onError: (error) => errors.push(String(error.message)),
  });
  for await (const state of states) message = state;
  const next = message === null ? [QUESTION] : [QUESTION, message];
  const body = await bodyOf(sdk, [...next, { ...QUESTION, id: "again" }]);
  return { chunks, errors, message, body };
});
