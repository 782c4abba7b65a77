// A person's latest turn as it happens: its steps, with the seconds since the message was accepted.

import { made } from "./made.js";

const NAMES = {
  posted: "Posted",
  accepted: "Accepted",
  model: "Model",
  tool: "Tool",
  parked: "Parked",
  connected: "Consent given",
  resumed: "Resumed",
  sent: "Sent",
  delivered: "Delivered",
  read: "Read",
  failed: "Not sent",
  killed: "Killed",
  restarted: "Back",
};
const WAITS_FOR = { account: "until the account is connected", approval: "until the person approves" };
const WORTH_A_LINE = 0.5;
const SECONDS = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const TOKENS = new Intl.NumberFormat("en");
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

/** Whether the latest turn is over, waits for the person, or is in progress. */
export function standing({ steps, parked }) {
  if (parked) return "parked";
  return ["sent", "delivered", "read", "failed", undefined].includes(steps.at(-1)?.step) ? "" : "in a turn";
}

/** The turn as a section; null: there is none. `held` is a time in epoch seconds, and `tokens` a number. */
export function turnSection({ steps, parked }, { held = null, tokens = 0 }) {
  if (!steps.length) return null;
  const section = made("section", "turn-steps");
  const rows = made("ol");
  // The posting is worth a line only while, or if, the message had to wait.
  const shown = steps.filter((step, index) => step.step !== "posted" || hadToWait(step, steps[index + 1]));
  const zero = (steps.find(({ step }) => step === "accepted") ?? steps[0]).at;
  rows.append(...shown.map((step) => row(step, zero, parked)));
  if (steps.at(-1).step === "posted") rows.append(waiting("Waits to be accepted"));
  if (held) rows.append(waiting(`Held until ${TIME.format(new Date(held * 1000))}`));
  section.append(made("h4", "", "Latest turn"), rows);
  if (tokens) section.append(made("p", "tokens", `${TOKENS.format(tokens)} tokens`));
  return section;
}

function hadToWait(posted, next) {
  return next?.step !== "accepted" || next.at - posted.at > WORTH_A_LINE;
}

function row({ step, at, what }, zero, parked) {
  const item = made("li", `step ${step}${step === "parked" && parked ? " now" : ""}`);
  const name = made("span", "step-name", NAMES[step]);
  if (what) name.append(" ", WAITS_FOR[what] ? made("small", "", WAITS_FOR[what]) : made("code", "", what));
  const passed = at - zero;
  item.append(name, made("span", "step-time", `${passed < 0 ? "−" : "+"}${SECONDS.format(Math.abs(passed))} s`));
  return item;
}

function waiting(words) {
  const item = made("li", "step parked now");
  item.append(made("span", "step-name", words));
  return item;
}
