// A person's card beside the phones: their latest turn, opaque id, connections and plans.

import { writeMail } from "./mail.js";
import { made } from "./made.js";
import { plans } from "./plans.js";
import { portrait } from "./portrait.js";
import { standing, turnSection } from "./turns.js";

/** Only the part that changes is drawn again, so that the focus and a screen reader's place stay. */
export class PersonCard {
  constructor(phone, label) {
    this.label = label;
    this.person = { phone, person: "" };
    this.turn = { steps: [], parked: false };
    this.node = made("li", "person");
    const head = made("div", "person-head");
    const avatar = made("span", "avatar");
    avatar.ariaHidden = "true";
    portrait(avatar, label, phone);
    this.state = made("span", "state");
    const name = made("h3", "", label);
    head.append(avatar, name, this.state);
    this.turnPlace = made("div");
    this.factsPlace = made("div");
    this.mail = this.mailButton();
    this.node.append(head, this.turnPlace, this.factsPlace, this.mail);
  }

  /** Take what the system says of the person. */
  know(person) {
    const same = JSON.stringify(person) === JSON.stringify(this.person);
    this.person = person;
    if (!same) this.factsPlace.replaceChildren(...(person.person ? [facts(person), ...plans(person)] : []));
    this.mail.hidden = !(person.connections ?? []).some(isGmail);
    this.draw();
  }

  /** Take the person's latest turn. */
  follow(turn) {
    this.turn = turn;
    this.draw();
  }

  draw() {
    const drawn = JSON.stringify([this.turn, this.person.held, this.person.tokens]);
    if (drawn !== this.drawn) {
      const section = turnSection(this.turn, this.person);
      this.turnPlace.replaceChildren(...(section ? [section] : []));
    }
    this.drawn = drawn;
    const { person, resident, busy } = this.person;
    const settled = !person ? "has not written" : busy ? "in a turn" : resident ? "in memory" : "asleep";
    const state = standing(this.turn) || settled;
    if (this.state.textContent !== state) this.state.textContent = state;
    this.state.className = `state${state === "parked" ? " parked" : resident ? " resident" : ""}`;
  }

  mailButton() {
    const button = made("button", "mail", "A mail arrives …");
    Object.assign(button, { type: "button", hidden: true, ariaLabel: `A mail arrives for ${this.label}` });
    button.addEventListener("click", () => writeMail(this.person.person, this.label));
    return button;
  }
}

function isGmail({ toolkit, status }) {
  return toolkit === "gmail" && status === "active";
}

function facts({ person, resident, items, connections, window }) {
  const list = made("dl", "facts");
  const id = made("dd");
  id.append(made("code", "", person));
  const connected = made("dd", "", connections.length ? "" : "none");
  if (connections.length) connected.append(chips(connections));
  list.append(made("dt", "", "Person"), id);
  if (resident) list.append(made("dt", "", "History"), made("dd", "", `${items || "No"} ${items === 1 ? "item" : "items"}`));
  list.append(made("dt", "", "Connected"), connected);
  list.append(made("dt", "", "Window"), openWindow(window === "open"));
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
