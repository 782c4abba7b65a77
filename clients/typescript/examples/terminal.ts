import { createInterface } from "node:readline";
import { userInfo } from "node:os";

import { KernelClient, KernelError, type Reply, type ReplyChoice } from "../src/index.js";

const person = `terminal:${userInfo().uid}`; // the channel's own stable key of this person
const buttons = new Map<string, ReplyChoice>(); // by their titles

function show(reply: Reply): void {
  console.log([reply.text, ...reply.choices.map(({ title }) => `[${title}]`)].join("\n"));
  if (reply.link) console.log(`[${reply.link.title}] ${reply.link.url}`);
  for (const choice of reply.choices) buttons.set(choice.title, choice);
}

async function showTheRest(kernel: KernelClient): Promise<void> {
  for await (const delivery of kernel.replies("terminal")) {
    show(delivery.reply);
    await delivery.delivered();
  }
}

const { KERNEL_ADDRESS: address = "127.0.0.1:50051", TERMINAL_TOKEN: token } = process.env;
if (!token) throw new Error("TERMINAL_TOKEN is not set: it is this channel's, of the service's KERNEL_CHANNEL_TOKENS");
const kernel = new KernelClient(address, token);
const rest = showTheRest(kernel);
for await (const line of createInterface({ input: process.stdin })) {
  const tapped = buttons.get(line.trim());
  try {
    const message = tapped ? { content: { case: "choice" as const, value: { id: tapped.id, title: tapped.title } } } : line.trim();
    for (const reply of await kernel.send(person, message)) show(reply);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    console.log(error.message);
  }
}
await kernel.close();
await rest;
