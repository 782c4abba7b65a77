// One message as a list item: text, file, ticks, quote, buttons, list, link, reactions.

import { attachment } from "./files.js";
import { made } from "./made.js";
import { marked, plain } from "./markup.js";

const TICKS = {
  sent: ["✓", "sent"],
  delivered: ["✓✓", "delivered"],
  read: ["✓✓", "read"],
};
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

const EMOJI = ["👍", "❤️", "😂"];

/** The list item. `quoted` is the message that it answers, if any. `on` has choose(choice), quote() and react(emoji). */
export function bubble(message, quoted, on) {
  const item = made("li", `message${message.mine ? " mine" : ""}`);
  item.dataset.id = message.id;
  const body = made("div", "bubble");
  if (quoted) body.append(made("p", "quote", plain(quoted.text)));
  if (message.header) body.append(made("h3", "", message.header));
  if (message.file) body.append(attachment(message));
  const text = made("span", "text");
  text.append(...marked(words(message)));
  body.append(text);
  const footer = message.footer ? made("p", "footer", message.footer) : body;
  if (footer !== body) body.append(footer);
  footer.append(meta(message));
  body.append(gestures(on));
  item.append(body);
  const reactions = made("span", "reaction");
  item.append(reactions);
  if (message.link || message.choices.length) item.append(actions(message, on.choose));
  refresh(item, message);
  return item;
}

/** Update what may change later: the ticks and the reactions. The rest stays, so that it is not read aloud again. */
export function refresh(item, message) {
  const reactions = item.querySelector(".reaction");
  reactions.textContent = message.reaction + message.reacted;
  reactions.hidden = !reactions.textContent;
  for (const gesture of item.querySelectorAll("[data-emoji]")) {
    const { emoji } = gesture.dataset;
    gesture.ariaLabel = `${message.reacted === emoji ? "Take back" : "React with"} ${emoji}`;
  }
  const ticks = item.querySelector(".ticks");
  if (!ticks) return;
  const [sign, name] = TICKS[message.ticks];
  ticks.className = `ticks ${message.ticks}`;
  ticks.ariaLabel = name;
  if (ticks.textContent !== sign) ticks.textContent = sign;
}

/** The text of the message, without the mere name of a file. */
function words({ text, kind, file }) {
  const named = file && [file.name, kind].some((name) => name.toLowerCase() === text.toLowerCase());
  return named ? "" : text;
}

function gestures(on) {
  const details = made("details", "gestures");
  const summary = made("summary", "", "⋯");
  summary.ariaLabel = "Answer or react to this message";
  const row = made("div");
  const done = (act) => () => {
    details.open = false;
    act();
  };
  row.append(button({ title: "↩" }, done(on.quote), "Quote"));
  for (const emoji of EMOJI) {
    const gesture = button({ title: emoji }, done(() => on.react(emoji)), emoji);
    gesture.dataset.emoji = emoji;
    row.append(gesture);
  }
  details.append(summary, row);
  return details;
}

function meta(message) {
  const line = made("span", "meta");
  const at = new Date(message.at * 1000);
  const time = made("time", "", TIME.format(at));
  time.dateTime = at.toISOString();
  line.append(time);
  if (message.mine) {
    const ticks = made("span", "ticks");
    ticks.role = "img";
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

function button(choice, choose, label = "") {
  const node = made("button", label ? "gesture" : "action", choice.title);
  node.type = "button";
  if (label) node.ariaLabel = label;
  if (choice.description) node.append(made("small", "", choice.description));
  node.addEventListener("click", () => choose(choice));
  return node;
}
