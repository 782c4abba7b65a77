// The state of the system: resident kernels, and each person's opaque id, connections and plans.

import { offerNext } from "./clock.js";
import { writeMail } from "./mail.js";
import { made } from "./made.js";
import { portrait } from "./phone.js";
import { plans } from "./plans.js";

const summary = document.getElementById("system-summary");
const people = document.getElementById("people");

/** Show the state of the system. `labels` maps phone ids to the names of the phones. */
export function showSystem(state, labels) {
  const sentence = state.problem || `${count(state.resident, "kernel")} in memory.`;
  if (summary.textContent !== sentence) summary.textContent = sentence;
  summary.classList.toggle("problem", Boolean(state.problem));
  offerNext(state.next);
  people.replaceChildren(...state.people.filter(({ phone }) => labels.has(phone)).map((person) => card(person, labels)));
}

function card(person, labels) {
  const label = labels.get(person.phone);
  const item = made("li", "person");
  const head = made("div", "person-head");
  const avatar = made("span", "avatar");
  avatar.ariaHidden = "true";
  portrait(avatar, label, person.phone);
  head.append(avatar, made("span", "", label));
  item.append(head);
  if (!person.person) {
    head.append(made("span", "state", "has not written"));
    return item;
  }
  const state = person.busy ? "in a turn" : person.resident ? "in memory" : "asleep";
  head.append(made("span", `state${person.resident ? " resident" : ""}`, state));
  item.append(details(person), ...plans(person));
  if (person.connections.some(isGmail)) item.append(mailButton(person.person, label));
  return item;
}

function isGmail({ toolkit, status }) {
  return toolkit === "gmail" && status === "active";
}

function mailButton(person, label) {
  const button = made("button", "mail", "A mail arrives …");
  button.type = "button";
  button.ariaLabel = `A mail arrives for ${label}`;
  button.addEventListener("click", () => writeMail(person, label));
  return button;
}

function details(person) {
  const list = made("dl", "facts");
  const id = made("dd");
  id.append(made("code", "", person.person));
  const connections = made("dd");
  if (person.connections.length) connections.append(chips(person.connections));
  else connections.textContent = "none";
  list.append(made("dt", "", "Person"), id);
  if (person.resident) list.append(made("dt", "", "History"), made("dd", "", count(person.items, "item")));
  list.append(made("dt", "", "Connected"), connections);
  list.append(made("dt", "", "Window"), openWindow(person.window === "open"));
  return list;
}

/** Whether WhatsApp takes more than templates: for 24 hours after the person's last message. */
function openWindow(open) {
  const window = made("dd");
  window.append(made("span", `chip ${open ? "active" : "paused"}`, open ? "open" : "templates only"));
  return window;
}

function chips(connections) {
  const box = made("span", "chips");
  box.append(...connections.map(({ toolkit, status }) => made("span", `chip ${status}`, `${toolkit} · ${status}`)));
  return box;
}

function count(number, noun) {
  return `${number || "No"} ${noun}${number === 1 ? "" : "s"}`;
}
