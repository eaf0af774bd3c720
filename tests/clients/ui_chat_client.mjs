// useChat's own class of `@ai-sdk/react`, over the AI SDK's default transport.

import { createRequire } from "node:module";

import { WEATHER, WEATHER_RESULT, askAll, client, leaves, nothingSeen } from "./live.mjs";
import { SCHEMA } from "./live.mjs";

const PACKAGES = { v6: "ai-react-v6", v7: "@ai-sdk/react" };

await askAll(async (asked) => {
  const { Chat } = client(PACKAGES[asked.wire]);
  const sdk = createRequire(client.resolve(PACKAGES[asked.wire]))("ai");
  const seen = nothingSeen();
  const chat = new Chat({
    transport: new sdk.DefaultChatTransport({
      api: `${asked.url}/api/ui/chat`,
      headers: { authorization: `Bearer ${asked.key}`, ...asked.headers },
      body: {
        ...(asked.profile === null ? {} : { profile: asked.profile }),
        ...(asked.model === "scripted" ? {} : { model: asked.model }),
        ...(asked.tools ? { tools: { [WEATHER]: { inputSchema: SCHEMA } } } : {}),
      },
    }),
    sendAutomaticallyWhen: sdk.lastAssistantMessageIsCompleteWithToolCalls,
    onToolCall: ({ toolCall }) => {
      const { toolCallId, toolName, input } = toolCall;
      seen.calls.push([toolCallId, toolName, JSON.stringify(input)]);
      // Not awaited: the chat runs one job at a time, and this one is another.
      chat.addToolOutput({ tool: toolName, toolCallId, output: WEATHER_RESULT });
    },
    onFinish: ({ finishReason }) => void (seen.finish = finishReason ?? null),
  });
  if (asked.leave_after !== null) {
    chat["~registerMessagesCallback"](() => {
      const pieces = textOf(chat.lastMessage).split(/\s+/).filter(Boolean).length;
      if (seen.left_at_ms === null && leaves(asked, seen, pieces)) chat.stop();
    });
  }
  await chat.sendMessage({ text: asked.question });
  while (asked.tools && chat.status !== "ready" && chat.status !== "error") {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const message = chat.lastMessage;
  if (message.role === "assistant") {
    seen.text = textOf(message);
    seen.reasoning = partsOf(message, "reasoning");
    const usage = message.metadata?.usage;
    if (usage) seen.usage = [usage.inputTokens, usage.outputTokens];
  }
  if (chat.error) seen.error = { message: chat.error.message };
  return seen;
});

function textOf(message) {
  return message?.role === "assistant" ? partsOf(message, "text") : "";
}

function partsOf(message, type) {
  return message.parts.filter((part) => part.type === type).map((part) => part.text).join("");
}
