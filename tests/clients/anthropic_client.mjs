// `@anthropic-ai/sdk`, as a Node.js program uses it.

import { SCHEMA, WEATHER, WEATHER_RESULT, askAll, client, leaves } from "./live.mjs";
import { nothingSeen, settings, shown } from "./live.mjs";

const { Anthropic } = client("@anthropic-ai/sdk");

class Asking {
  constructor(asked) {
    this.asked = asked;
    this.seen = nothingSeen();
    this.anthropic = new Anthropic(settings(asked, asked.url));
    this.said = [{ role: "user", content: asked.question }];
    this.body = { model: asked.model, max_tokens: 400 };
    if (asked.temperature !== null) this.body.temperature = asked.temperature;
    if (asked.tools) this.body.tools = [{ name: WEATHER, input_schema: SCHEMA }];
    this.options = { headers: asked.headers };
  }

  /** The message that was answered; nothing where the client left before its end. */
  async turn() {
    const body = { ...this.body, messages: this.said };
    const message = this.asked.stream
      ? await this.streamed(body)
      : await this.anthropic.messages.create(body, this.options);
    if (message) this.take(message);
    return message;
  }

  async streamed(body) {
    const stream = this.anthropic.messages.stream(body, this.options);
    let pieces = 0;
    try {
      for await (const event of stream) {
        if (event.type !== "content_block_delta" || event.delta.type !== "text_delta") continue;
        this.seen.text += event.delta.text;
        if (leaves(this.asked, this.seen, ++pieces)) return null;
      }
    } catch (error) {
      this.used(stream.currentMessage);
      throw error;
    }
    this.seen.text = "";
    return stream.finalMessage();
  }

  take(message) {
    for (const block of message.content) {
      if (block.type === "text") this.seen.text += block.text;
      if (block.type === "thinking") this.seen.reasoning += block.thinking;
      if (block.type === "tool_use") {
        this.seen.calls.push([block.id, block.name, JSON.stringify(block.input)]);
      }
    }
    this.seen.finish = message.stop_reason;
    this.used(message);
  }

  used(message) {
    if (!message) return;
    const { input_tokens: fresh, output_tokens: output, ...usage } = message.usage;
    const cached = usage.cache_read_input_tokens + usage.cache_creation_input_tokens;
    this.seen.usage = [fresh + cached, output];
  }

  runTools(message) {
    const results = this.seen.calls.map(([id]) => ({
      type: "tool_result",
      tool_use_id: id,
      content: WEATHER_RESULT,
    }));
    this.said.push({ role: "assistant", content: message.content });
    this.said.push({ role: "user", content: results });
  }
}

await askAll(async (asked) => {
  const asking = new Asking(asked);
  try {
    const message = await asking.turn();
    if (asked.tools && asking.seen.calls.length > 0) {
      asking.runTools(message);
      await asking.turn();
    }
  } catch (error) {
    const { type, message, details } = error.error?.error ?? {};
    asking.seen.error = shown(error, { type, code: details?.error_code, message });
  }
  return asking.seen;
});
