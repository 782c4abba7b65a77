// One message as a list item: text, ticks, quote, buttons, list, link.

import { marked } from "./markup.js";

const TICKS = {
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
};
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** The list item; quoted is the message it answers, if it is there; choose(choice) answers a tap. */
export function bubble(message, quoted, choose) {
  const item = made("li", `message${message.mine ? " mine" : ""}`);
  item.dataset.id = message.id;
  const body = made("div", "bubble");
  if (quoted) body.append(made("p", "quote", quoted.text));
  if (message.header) body.append(made("h3", "", message.header));
  const text = made("span", "text");
  text.append(...marked(message.text));
  body.append(text);
  const footer = message.footer ? made("p", "footer", message.footer) : body;
  if (footer !== body) body.append(footer);
  footer.append(meta(message));
  item.append(body);
  if (message.reaction) item.append(made("span", "reaction", message.reaction));
  if (message.link || message.choices.length) item.append(actions(message, choose));
  return item;
}

/** An element with a class and a text. */
export function made(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function meta(message) {
  const line = made("span", "meta");
  const at = new Date(message.at * 1000);
  const time = made("time", "", TIME.format(at));
  time.dateTime = at.toISOString();
  line.append(time);
  if (message.mine) {
    const [sign, name] = TICKS[message.ticks];
    const ticks = made("span", `ticks ${message.ticks}`, sign);
    ticks.role = "img";
    ticks.ariaLabel = name;
    line.append(ticks);
  }
  return line;
}

function actions(message, choose) {
  const box = made("div", "actions");
  if (message.link) box.append(link(message.link));
  if (message.list_label) box.append(list(message, choose));
  else box.append(...message.choices.map((choice) => button(choice, choose)));
  return box;
}

function link({ label, url }) {
  const anchor = made("a", "action", `${label} ↗`);
  Object.assign(anchor, { href: url, target: "_blank", rel: "noopener noreferrer" });
  anchor.ariaLabel = `${label} (opens in a new tab)`;
  return anchor;
}

function list(message, choose) {
  const details = made("details");
  details.append(made("summary", "", message.list_label));
  const rows = made("div", "rows");
  rows.append(...message.choices.map((choice) => button(choice, (picked) => {
    details.open = false;
    choose(picked);
  })));
  details.append(rows);
  return details;
}

function button(choice, choose) {
  const node = made("button", "action", choice.title);
  node.type = "button";
  if (choice.description) node.append(made("small", "", choice.description));
  node.addEventListener("click", () => choose(choice));
  return node;
}
