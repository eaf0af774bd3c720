// Cases in, what a client's user saw of each out: one JSON value a line, both ways. All cases are
// asked at the same time. What a case and an outcome are is in tests/end_to_end/clients/asking.py.
//
//   node CLIENT.mjs FOLDER-OF-CLIENTS < cases

import { createInterface } from "node:readline";

export { client } from "./recorded.mjs";

export const WEATHER = "weather";
export const WEATHER_RESULT = "rain";
export const SCHEMA = { type: "object", properties: { city: { type: "string" } } };

/** Writes what `ask` makes of each case, in their order. */
export async function askAll(ask) {
  const cases = [];
  for await (const line of createInterface({ input: process.stdin })) cases.push(JSON.parse(line));
  const outcomes = await Promise.all(cases.map(ask));
  for (const outcome of outcomes) process.stdout.write(JSON.stringify(outcome) + "\n");
}

/** An outcome in which nothing was seen yet. */
export function nothingSeen() {
  return {
    text: "",
    reasoning: "",
    calls: [],
    finish: null,
    usage: null,
    error: null,
    left_at_ms: null,
  };
}

/** Whether the client leaves now that it has `piece` pieces of the answer; notes when. */
export function leaves(asked, seen, piece) {
  if (asked.leave_after === null || piece < asked.leave_after) return false;
  seen.left_at_ms = performance.timeOrigin + performance.now();
  return true;
}

/** The settings of an SDK's client: without retries in the case it is left as it comes. */
export function settings(asked, baseURL) {
  const retries = asked.retries === null ? {} : { maxRetries: asked.retries };
  return { baseURL, apiKey: asked.key, timeout: 30_000, ...retries };
}

/** What a program sees of an SDK's error. */
export function shown(error, { type, code, message }) {
  return {
    name: error.constructor.name,
    status: error.status ?? null,
    type: type ?? null,
    code: code ?? null,
    message: message ?? null,
  };
}
