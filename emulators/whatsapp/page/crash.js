// Kills a service with SIGKILL, and tells whether anything was lost.

import { made } from "./made.js";

const NAMES = { kernel_service: "kernel service", whatsapp_gateway: "gateway" };

const section = document.getElementById("crash");
const buttons = document.getElementById("crash-buttons");
const told = document.getElementById("crash-told");

/** Returns what shows the services that can be killed, and the latest kill. `failed` is told why one did not work. */
export function crashes(api, failed) {
  const kill = async (service) => {
    try {
      await api.post("/phones/kills", { service });
      failed("");
    } catch (problem) {
      failed(`Nothing was killed: ${problem.message}`);
    }
  };
  return ({ services, kill: latest }) => {
    section.hidden = !services.length;
    const away = latest && latest.seconds === null;
    if (buttons.children.length !== services.length) buttons.replaceChildren(...services.map((service) => button(service, kill)));
    for (const each of buttons.children) each.ariaDisabled = String(Boolean(away));
    const words = latest ? sentence(latest) : "Write from a phone while it is away, and see that nothing is lost.";
    if (told.textContent !== words) told.textContent = words;
    told.dataset.state = latest ? (isOver(latest) ? (latest.twice ? "twice" : "over") : "away") : "";
  };
}

function button(service, kill) {
  const name = NAMES[service] ?? service;
  const node = made("button", "kill", name);
  Object.assign(node, { type: "button", ariaLabel: `Kill the ${name}` });
  // It keeps the focus while its service is away, and does nothing.
  node.addEventListener("click", () => node.ariaDisabled !== "true" && kill(service));
  return node;
}

function isOver({ seconds, waiting }) {
  return seconds !== null && waiting === 0;
}

function sentence(latest) {
  const name = `The ${NAMES[latest.service] ?? latest.service}`;
  if (latest.seconds === null) return `${name} is killed (SIGKILL) and starts again …`;
  const back = `${name} was killed and was back after ${latest.seconds} s.`;
  if (!isOver(latest)) return `${back} ${latest.waiting ? `${latest.waiting} on the way …` : "Looking at what waits …"}`;
  if (latest.twice) return `${back} ${latest.twice} of the answers came twice.`;
  return `${back} ${latest.answers ? "Everything was answered once." : "Nothing was lost."}`;
}
