// What the AI SDK makes of a recorded stream: the chunks, the message, the errors, and the body
// that its transport sends for the next turn. Each recording says which version reads it.

import { client, readAll, replay } from "./recorded.mjs";

const QUESTION = { id: "question", role: "user", parts: [{ type: "text", text: "Hi" }] };

/** Sends the messages through the default transport; gives its stream and the body it sent. */
async function send(sdk, recording, messages) {
  let body;
  const transport = new sdk.DefaultChatTransport({
    api: "http://127.0.0.1/",
    fetch: async (_url, request) => {
      body = request.body;
      return replay(recording);
    },
  });
  const stream = await transport.sendMessages({
    chatId: "chat",
    messages,
    trigger: "submit-message",
    messageId: undefined,
    abortSignal: undefined,
  });
  return { stream, body };
}

await readAll(async (recording) => {
  const sdk = client(`ai-${recording.version}`);
  const { stream } = await send(sdk, recording, [QUESTION]);
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
  const { body } = await send(sdk, recording, [...next, { ...QUESTION, id: "again" }]);
  return { chunks, errors, message, body };
});
