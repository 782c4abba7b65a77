// The schedules and triggers of a person, and the facts that their assistant remembers.

import { made } from "./made.js";

/** The lists that are not empty. */
export function plans({ schedules = [], triggers = [], facts = [] }) {
  return [
    list("Schedules", schedules.map(schedule)),
    list("Triggers", triggers.map(trigger)),
    list("Remembers", facts.map((fact) => made("li", "plan", fact))),
  ].filter(Boolean);
}

function list(title, items) {
  if (!items.length) return null;
  const section = made("section", "plans");
  const rows = made("ul");
  rows.append(...items);
  section.append(made("h4", "", title), rows);
  return section;
}

function schedule({ kind, request, when, paused }) {
  const item = made("li", `plan ${kind}`);
  item.append(made("span", "plan-what", request), made("small", "", when));
  if (kind === "do") item.append(made("span", "chip", "task"));
  if (paused) item.append(made("span", "chip paused", "paused"));
  return item;
}

function trigger({ event, settings }) {
  const item = made("li", "plan");
  item.append(made("span", "plan-what", event));
  if (settings) item.append(made("small", "", settings));
  return item;
}
