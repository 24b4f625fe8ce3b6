// Node's clients: `node peer.mjs SIDE BASE_URL`, with one line of JSON in and one out for each thing to do, as child.py has it.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [side, baseURL, folder] = process.argv.slice(2);
const wanted = createRequire(`${folder}/package.json`);
const load = (name) => import(pathToFileURL(wanted.resolve(name)));

const textOf = (delta) => delta.delta.content.map((part) => part.text.value).join("");
const callOf = (run) => run.required_action.submit_tool_outputs.tool_calls[0].id;
const outputsFor = (call) => [{ tool_call_id: call, output: "3" }];

async function openaiSide() {
  const { default: OpenAI } = await load("openai");
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const one = async (stream, words) => {
    let [events, call] = [0, null];
    for await (const event of stream) {
      events += 1;
      if (event.event === "thread.message.delta") words?.push(textOf(event.data));
      else if (event.event === "thread.run.requires_action") call = callOf(event.data);
    }
    return [events, call];
  };
  return async (thread, words) => {
    const runs = client.beta.threads.runs;
    let [events, call] = await one(await runs.create(thread, { assistant_id: "asst_b", stream: true }), words);
    if (call !== null) {
      const settings = { thread_id: thread, tool_outputs: outputsFor(call), stream: true };
      events += (await one(await runs.submitToolOutputs("run_b", settings), words))[0];
    }
    return events;
  };
}

async function fetchSide() {
  const { createParser } = await load("eventsource-parser");
  const one = async (url, body, words) => {
    let [events, call] = [0, null];
    const onEvent = (message) => {
      if (message.event === "done") return;
      const data = JSON.parse(message.data);
      events += 1;
      if (message.event === "thread.message.delta") words?.push(textOf(data));
      else if (message.event === "thread.run.requires_action") call = callOf(data);
    };
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const parser = createParser({ onEvent });
    const decoder = new TextDecoder();
    for await (const chunk of response.body) parser.feed(decoder.decode(chunk, { stream: true }));
    return [events, call];
  };
  return async (thread, words) => {
    const url = `${baseURL}/threads/${thread}/runs`;
    let [events, call] = await one(url, { assistant_id: "asst_b", stream: true }, words);
    if (call !== null) {
      const body = { stream: true, tool_outputs: outputsFor(call) };
      events += (await one(`${url}/run_b/submit_tool_outputs`, body, words))[0];
    }
    return events;
  };
}

const seconds = ({ user, system }) => (user + system) / 1e6;
const read = await (side === "node openai" ? openaiSide() : fetchSide());
for await (const line of createInterface({ input: process.stdin })) {
  const { thread, check, times } = JSON.parse(line);
  const words = check ? [] : null;
  const [wall, cpu] = [process.hrtime.bigint(), process.cpuUsage()];
  let counted = 0;
  for (let time = 0; time < times; time += 1) counted += await read(thread, words);
  const told = { counted, cpu: seconds(process.cpuUsage(cpu)), wall: Number(process.hrtime.bigint() - wall) / 1e9 };
  if (check) told.digest = createHash("sha256").update(words.join("")).digest("hex");
  console.log(JSON.stringify(told));
}
