// A small screen shows one part at a time: a phone, or the state of the system.

import { made } from "./made.js";

const SYSTEM = "system";

export class Tabs {
  constructor(views) {
    this.views = views;
    this.list = document.getElementById("tabs");
    this.stage = document.querySelector(".stage");
    this.selected = null;
    this.onSelect = () => {};
    this.list.addEventListener("keydown", (event) => this.move(event));
  }

  /** Draw a tab for each phone and one for the system. The selection is kept. */
  draw() {
    const phones = [...this.views.values()].map((view) => this.tab(view.id, view.label, view.node.id));
    this.list.replaceChildren(...phones, this.tab(SYSTEM, "System", "system"));
    const still = this.selected === SYSTEM || this.views.has(this.selected);
    this.select(still ? this.selected : this.views.keys().next().value);
  }

  select(id) {
    this.selected = id;
    for (const tab of this.list.children) {
      tab.ariaSelected = String(tab.dataset.id === id);
      tab.tabIndex = tab.dataset.id === id ? 0 : -1;
    }
    for (const view of this.views.values()) view.node.classList.toggle("shown", view.id === id);
    this.stage.classList.toggle("narrow-system", id === SYSTEM);
    const chat = this.views.get(id)?.chat;
    if (chat) chat.scrollTop = chat.scrollHeight;
    this.onSelect();
  }

  /** Show the number of unread messages next to each name. */
  count() {
    for (const tab of this.list.children) {
      tab.querySelector(".unread")?.remove();
      const unread = this.views.get(tab.dataset.id)?.unread;
      if (!unread) continue;
      const badge = made("span", "unread", String(unread));
      badge.ariaLabel = `${unread} unread`;
      tab.append(badge);
    }
  }

  tab(id, label, controls) {
    const node = made("button", "", label);
    Object.assign(node, { type: "button", role: "tab" });
    node.dataset.id = id;
    node.dataset.label = label;
    node.setAttribute("aria-controls", controls);
    node.addEventListener("click", () => this.select(id));
    return node;
  }

  move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...this.list.children];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    this.select(next.dataset.id);
  }
}
