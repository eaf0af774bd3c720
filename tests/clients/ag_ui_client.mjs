// `HttpAgent` of `@ag-ui/client`, as a page's agent.

import { SCHEMA, WEATHER, WEATHER_RESULT, askAll, client, leaves, nothingSeen } from "./live.mjs";

const { HttpAgent } = client("@ag-ui/client");

console.error = () => undefined; // The agent writes down every failure, beside throwing it.

await askAll(async (asked) => {
  const seen = nothingSeen();
  const agent = new HttpAgent({
    url: `${asked.url}/agui`,
    headers: { authorization: `Bearer ${asked.key}`, ...asked.headers },
    initialMessages: [{ id: "question", role: "user", content: asked.question }],
  });
  let pieces = 0;
  const subscriber = {
    onTextMessageContentEvent: ({ event }) => {
      seen.text += event.delta;
      if (leaves(asked, seen, ++pieces)) agent.abortRun();
    },
    onReasoningMessageContentEvent: ({ event }) => void (seen.reasoning += event.delta),
    onToolCallEndEvent: ({ event, toolCallName, toolCallArgs }) => {
      seen.calls.push([event.toolCallId, toolCallName, JSON.stringify(toolCallArgs)]);
    },
    onRunFinishedEvent: ({ event }) => {
      seen.finish = event.result?.finishReason ?? event.outcome?.type;
      used(seen, event);
    },
    onRunErrorEvent: ({ event }) => {
      seen.error = { name: "RUN_ERROR", status: null, code: event.code, message: event.message };
      used(seen, event);
    },
  };
  const run = {
    tools: asked.tools ? [{ name: WEATHER, description: "", parameters: SCHEMA }] : [],
    forwardedProps: {
      ...(asked.profile === null ? {} : { profile: asked.profile }),
      ...(asked.model === "scripted" ? {} : { model: asked.model }),
    },
  };
  try {
    await agent.runAgent(run, subscriber);
    if (asked.tools && seen.calls.length > 0) {
      for (const [toolCallId] of seen.calls) {
        agent.addMessage({ id: "result", role: "tool", toolCallId, content: WEATHER_RESULT });
      }
      await agent.runAgent(run, subscriber);
    }
  } catch (error) {
    seen.error ??= {
      name: error.name,
      status: error.status ?? null,
      code: error.payload?.code ?? null,
      message: error.payload?.error ?? error.message,
    };
  }
  return seen;
});

function used(seen, { usage }) {
  if (usage) seen.usage = [usage[0].inputTokens, usage[0].outputTokens];
}
