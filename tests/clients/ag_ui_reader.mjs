// What AG-UI's HttpAgent makes of a recorded stream: the types of its events, the messages and the
// result of the run, its errors and warnings, and the body that it sends for the next turn.

import { client, readAll, replay } from "./recorded.mjs";

const { HttpAgent } = client("@ag-ui/client");
const QUESTION = { id: "question", role: "user", content: "Hi" };

await readAll(async (recording) => {
  const outcome = { events: [], custom: [], messages: [], warnings: [], errors: [] };
  console.warn = (...words) => outcome.warnings.push(words.join(" "));
  console.error = (...words) => outcome.errors.push(words.join(" "));
  const agent = new HttpAgent({
    url: "http://127.0.0.1/",
    threadId: recording.threadId,
    initialMessages: [QUESTION],
    fetch: async () => replay(recording),
  });
  const run = { runId: recording.runId };
  const subscriber = {
    onEvent: ({ event }) => void outcome.events.push(event.type),
    onCustomEvent: ({ event }) => void outcome.custom.push(event),
    onRunErrorEvent: ({ event }) => void (outcome.failure = event),
    onRunFinishedEvent: ({ event, pendingToolCallIds }) => {
      outcome.finished = event;
      outcome.pendingToolCallIds = pendingToolCallIds;
    },
  };
  try {
    const { result, newMessages } = await agent.runAgent(run, subscriber);
    outcome.result = result;
    outcome.messages = newMessages;
  } catch (error) {
    outcome.errors.push(String(error.message));
    outcome.messages = agent.messages.slice(1);
  }
  return { ...outcome, body: await nextBody(agent) };
});

/** The body that the agent sends when the person goes on. */
async function nextBody(agent) {
  let body;
  agent.fetch = async (_url, request) => {
    body = request.body;
    return new Response("enough", { status: 400 });
  };
  agent.addMessage({ ...QUESTION, id: "again" });
  console.error = () => undefined;
  await agent.runAgent({ runId: "next" }).catch(() => undefined);
  return body;
}
