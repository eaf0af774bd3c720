// `openai`, as a Node.js program uses it: Chat Completions, or Responses where a case says so.

import { SCHEMA, WEATHER, WEATHER_RESULT, askAll, client, leaves } from "./live.mjs";
import { nothingSeen, settings, shown } from "./live.mjs";

const { OpenAI } = client("openai");

class Asking {
  constructor(asked) {
    this.asked = asked;
    this.seen = nothingSeen();
    this.openai = new OpenAI(settings(asked, `${asked.url}/v1`));
    this.said = [{ role: "user", content: asked.question }];
    this.body = { model: asked.model, stream: asked.stream };
    if (asked.temperature !== null) this.body.temperature = asked.temperature;
    this.options = { headers: asked.headers };
    this.pieces = 0;
  }

  leaves() {
    return leaves(this.asked, this.seen, ++this.pieces);
  }
}

class Chat extends Asking {
  async turn() {
    const body = { ...this.body, messages: this.said };
    if (this.asked.tools) {
      body.tools = [{ type: "function", function: { name: WEATHER, parameters: SCHEMA } }];
    }
    if (!this.asked.stream) return this.whole(body);
    body.stream_options = { include_usage: true };
    for await (const chunk of await this.openai.chat.completions.create(body, this.options)) {
      if (chunk.usage) this.used(chunk.usage);
      for (const { delta, finish_reason: finish } of chunk.choices) {
        this.take(delta);
        this.seen.finish = finish ?? this.seen.finish;
        if (delta.content && this.leaves()) return;
      }
    }
  }

  async whole(body) {
    const { choices, usage } = await this.openai.chat.completions.create(body, this.options);
    const [{ message, finish_reason: finish }] = choices;
    this.take(message);
    this.seen.finish = finish;
    this.used(usage);
  }

  take({ content, reasoning_content: thought, tool_calls: calls }) {
    this.seen.text += content ?? "";
    this.seen.reasoning += thought ?? "";
    for (const call of calls ?? []) {
      if (call.id) this.seen.calls.push([call.id, call.function.name, ""]);
      this.seen.calls[call.index ?? this.seen.calls.length - 1][2] += call.function.arguments;
    }
  }

  used({ prompt_tokens: input, completion_tokens: output }) {
    this.seen.usage = [input, output];
  }

  runTools() {
    const calls = this.seen.calls.map(([id, name, text]) => ({
      id,
      type: "function",
      function: { name, arguments: text },
    }));
    this.said.push({ role: "assistant", content: this.seen.text, tool_calls: calls });
    for (const { id } of calls) {
      this.said.push({ role: "tool", tool_call_id: id, content: WEATHER_RESULT });
    }
  }
}

class Responses extends Asking {
  async turn() {
    const body = { ...this.body, input: this.said, store: false };
    if (this.asked.tools) {
      body.tools = [{ type: "function", name: WEATHER, parameters: SCHEMA, strict: false }];
    }
    const answer = await this.openai.responses.create(body, this.options);
    if (!this.asked.stream) return this.end(answer);
    for await (const event of answer) {
      if (event.type === "response.output_text.delta") {
        this.seen.text += event.delta;
        if (this.leaves()) return;
      }
      if (/^response\.(completed|incomplete|failed)$/.test(event.type)) {
        this.seen.text = "";
        this.end(event.response);
      }
    }
  }

  end({ status, output, usage, error }) {
    for (const item of output) {
      if (item.type === "message") this.seen.text += joined(item.content);
      if (item.type === "reasoning") this.seen.reasoning += joined(item.content);
      if (item.type === "function_call") {
        this.seen.calls.push([item.call_id, item.name, item.arguments]);
      }
    }
    this.seen.finish = status;
    if (usage) this.seen.usage = [usage.input_tokens, usage.output_tokens];
    if (error) this.seen.error = { name: null, code: error.code, message: error.message };
  }

  runTools() {
    for (const [id, name, text] of this.seen.calls) {
      this.said.push({ type: "function_call", call_id: id, name, arguments: text });
      this.said.push({ type: "function_call_output", call_id: id, output: WEATHER_RESULT });
    }
  }
}

const joined = (parts) => (parts ?? []).map((part) => part.text ?? "").join("");

await askAll(async (asked) => {
  const asking = asked.wire === "responses" ? new Responses(asked) : new Chat(asked);
  try {
    await asking.turn();
    if (asked.tools && asking.seen.calls.length > 0) {
      asking.runTools();
      await asking.turn();
    }
  } catch (error) {
    const { type, code } = error;
    asking.seen.error = shown(error, { type, code, message: error.error?.message });
  }
  return asking.seen;
});
