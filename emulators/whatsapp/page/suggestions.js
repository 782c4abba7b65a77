// Suggestions for a phone: chips that type a text into its composer. The person still sends it.

import { made } from "./made.js";

const ON_AN_EMPTY_PHONE = 4;
const BESIDE_A_CHAT = 2;

// In the order of the story. `done` says whether it has been told: from the person's state, or from what they have sent.
const STORY = [
  { text: "what can you do?", done: ({ said }) => said.length > 0 },
  { text: "create a task: Prepare the demo", done: ({ connected }) => connected.includes("asana"), said: /\btask\b/i },
  { text: "remind me in 10 minutes to stretch", done: ({ schedules }) => schedules > 0, said: /\bremind\b/i },
  { text: "tell me when a mail from the bank arrives", done: ({ triggers }) => triggers > 0, said: /\btell me when\b/i },
  { text: "remember that I drink tea", done: ({ facts }) => facts > 0, said: /\bremember that\b/i },
  { text: "book a table for two at 19:00", offered: "book_table", said: /\bbook\b.*\btable\b/i },
  { text: "list my tasks", if: ({ connected }) => connected.includes("asana"), said: /^list my tasks/i },
  { text: "what do you remember about me?", if: ({ facts }) => facts > 0, said: /\bdo you remember\b/i },
];

// Another person has a separate assistant.
const ANOTHER = [
  { text: (label) => `my name is ${label}`, said: /\bmy name is\b/i },
  { text: "what did I say?", if: ({ said }) => said.length > 0, said: /\bwhat did i say\b/i },
  { text: "list my tasks", done: ({ connected }) => connected.includes("asana"), said: /\btasks?\b/i },
];

/** The texts to try now. `known` is {first, label, said, connected, schedules, triggers, facts, offered}. */
export function toTry(known) {
  const story = known.first ? STORY : [...ANOTHER, ...STORY.slice(2)];
  const texts = story.filter((step) => isNext(step, known)).map(({ text }) => (typeof text === "string" ? text : text(known.label)));
  return [...new Set(texts)].slice(0, known.said.length ? BESIDE_A_CHAT : ON_AN_EMPTY_PHONE);
}

function isNext(step, known) {
  if (step.offered && !known.offered.includes(step.offered)) return false;
  if (step.if && !step.if(known)) return false;
  if (step.done?.(known)) return false;
  return !(step.said && known.said.some((text) => step.said.test(text)));
}

/** Show the texts as chips in a list. `type` gets the text of the one that is chosen. */
export function showChips(list, texts, type) {
  const shown = [...list.children].map((item) => item.textContent);
  if (shown.join("\n") === texts.join("\n")) return;
  list.replaceChildren(...texts.map((text) => chip(text, type)));
  list.hidden = !texts.length;
}

function chip(text, type) {
  const item = made("li");
  const button = made("button", "suggestion", text);
  button.type = "button";
  button.addEventListener("click", () => type(text));
  item.append(button);
  return item;
}
