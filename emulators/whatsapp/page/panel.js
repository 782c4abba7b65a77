// The state of the system: resident kernels, and a card for each person.

import { PersonCard } from "./card.js";
import { offerNext } from "./clock.js";

const summary = document.getElementById("system-summary");
const people = document.getElementById("people");
const cards = new Map();
const NOTHING = { steps: [], parked: false };

/** Show the state of the system. `labels` maps phone ids to the names of the phones, and `turns` to their turns. */
export function showSystem(state, labels, turns) {
  const sentence = state.problem || `${state.resident || "No"} ${state.resident === 1 ? "kernel" : "kernels"} in memory.`;
  if (summary.textContent !== sentence) summary.textContent = sentence;
  summary.classList.toggle("problem", Boolean(state.problem));
  offerNext(state.next);
  const known = new Map(state.people.map((person) => [person.phone, person]));
  for (const [phone, label] of labels) {
    const card = cards.get(phone) ?? added(phone, label);
    // A service that is away says nothing: its last words stay.
    if (known.has(phone)) card.know(known.get(phone));
    card.follow(turns.get(phone) ?? NOTHING);
  }
}

function added(phone, label) {
  const card = new PersonCard(phone, label);
  cards.set(phone, card);
  people.append(card.node);
  return card;
}
