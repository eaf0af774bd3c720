// The AI SDK's own providers under its `streamText` and `generateText`, as a server uses them.

import { SCHEMA, WEATHER, WEATHER_RESULT, askAll, client, leaves, nothingSeen } from "./live.mjs";

const { createOpenAI } = client("@ai-sdk/openai");
const { createOpenAICompatible } = client("@ai-sdk/openai-compatible");
const { createAnthropic } = client("@ai-sdk/anthropic");
const { generateText, jsonSchema, stepCountIs, streamText, tool } = client("ai");

const MODELS = {
  openai: ({ model, ...to }) => createOpenAI(to).responses(model),
  compatible: ({ model, ...to }) =>
    createOpenAICompatible({ name: "chatnest", includeUsage: true, ...to })(model),
  anthropic: ({ model, ...to }) => createAnthropic(to)(model),
};

await askAll(async (asked) => {
  const seen = nothingSeen();
  const { model, key: apiKey, headers } = asked;
  const hangUp = new AbortController();
  const options = {
    model: MODELS[asked.wire]({ model, apiKey, headers, baseURL: `${asked.url}/v1` }),
    prompt: asked.question,
    abortSignal: hangUp.signal,
    ...(asked.retries === null ? {} : { maxRetries: asked.retries }),
    ...(asked.temperature === null ? {} : { temperature: asked.temperature }),
    ...(asked.wire === "openai" ? { providerOptions: { openai: { store: false } } } : {}),
  };
  if (asked.tools) {
    const run = ({ city }, { toolCallId }) => {
      seen.calls.push([toolCallId, WEATHER, JSON.stringify({ city })]);
      return WEATHER_RESULT;
    };
    options.tools = { [WEATHER]: tool({ inputSchema: jsonSchema(SCHEMA), execute: run }) };
    options.stopWhen = stepCountIs(2);
  }
  try {
    await (asked.stream ? streamed(asked, seen, options, hangUp) : whole(seen, options));
  } catch (error) {
    fail(seen, error);
  }
  return seen;
});

async function streamed(asked, seen, options, hangUp) {
  const answer = streamText({ ...options, onError: () => undefined });
  let pieces = 0;
  for await (const part of answer.fullStream) {
    if (part.type === "text-delta") {
      seen.text += part.text;
      if (leaves(asked, seen, ++pieces)) return hangUp.abort();
    }
    if (part.type === "reasoning-delta") seen.reasoning += part.text;
    if (part.type === "error") fail(seen, part.error);
    if (part.type === "finish-step") end(seen, part);
  }
}

async function whole(seen, options) {
  const answer = await generateText(options);
  seen.text = answer.text;
  seen.reasoning = answer.reasoningText ?? "";
  end(seen, answer.steps.at(-1));
}

function end(seen, { finishReason, usage }) {
  seen.finish = finishReason;
  if (usage.inputTokens !== undefined) seen.usage = [usage.inputTokens, usage.outputTokens];
}

function fail(seen, error) {
  const last = error.lastError ?? error;
  seen.error = {
    name: last.name ?? null,
    status: last.statusCode ?? null,
    message: last.message ?? JSON.stringify(last),
  };
}
