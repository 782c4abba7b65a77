// The page: opens the stream of events, and keeps the phones and tabs in sync with it.

import { setClock, showTime } from "./clock.js";
import { crashes } from "./crash.js";
import { offerLooks } from "./look.js";
import { offerMail } from "./mail.js";
import { showSystem } from "./panel.js";
import { PhoneView } from "./phone.js";
import { Tabs } from "./tabs.js";

const api = {
  post: (path, body) => call(path, { "Content-Type": "application/json" }, JSON.stringify(body)),
  upload: (path, file) => call(path, { "Content-Type": file.type || "application/octet-stream", "X-Phones-Page": "1" }, file),
};

async function call(path, headers, body) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers, body });
  } catch {
    throw new Error("the emulator does not answer.");
  }
  if (!response.ok) throw new Error(await response.text());
  return response.headers.get("Content-Type")?.startsWith("application/json") ? response.json() : null;
}

const views = new Map();
const turns = new Map();
const tabs = new Tabs(views);
const showCrash = crashes(api, tellProblem);
let system = { problem: "", resident: 0, next: null, people: [] };

function open() {
  const state = document.getElementById("feed-state");
  const tell = (text, live) => {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("live", live);
  };
  const feed = new EventSource("/phones/events");
  const on = (kind, show) => feed.addEventListener(kind, (event) => show(JSON.parse(event.data)));
  feed.addEventListener("open", () => tell("Live", true));
  feed.addEventListener("error", () => tell("Reconnecting …", false));
  on("snapshot", showAll);
  on("phone", showPhone);
  on("message", ({ phone, message }) => {
    views.get(phone).show(message);
    suggest();
    look();
  });
  on("system", showState);
  on("turn", (turn) => {
    turns.set(turn.phone, turn);
    showState(system);
  });
  on("crash", showCrash);
  on("time", showTime);
}

function showAll({ phones, turns: latest, system: state, time, crash }) {
  showTime(time);
  showCrash(crash);
  for (const turn of latest) turns.set(turn.phone, turn);
  const drafts = new Map([...views].map(([id, view]) => [id, view.node.querySelector("textarea").value]));
  views.clear();
  document.getElementById("phones").replaceChildren();
  for (const phone of phones) {
    const view = addView(phone);
    view.node.querySelector("textarea").value = drafts.get(phone.id) ?? "";
    for (const message of phone.messages) view.show(message);
    view.update(phone);
  }
  tabs.draw();
  showState(state);
  for (const view of views.values()) view.chat.scrollTop = view.chat.scrollHeight;
  look();
  typeIn();
}

function showPhone(phone) {
  const known = views.get(phone.id);
  if (known) return known.update(phone);
  addView(phone);
  tabs.draw();
  return showState(system);
}

function addView(phone) {
  const view = new PhoneView(phone, api);
  views.set(phone.id, view);
  document.getElementById("phones").append(view.node);
  return view;
}

function showState(state) {
  system = state;
  showSystem(state, new Map([...views].map(([id, view]) => [id, view.label])), turns);
  suggest();
}

/** Suggest to each person what they have not tried. */
function suggest() {
  const [first] = views.keys();
  for (const view of views.values()) {
    const person = system.people.find(({ phone }) => phone === view.id) ?? {};
    view.suggest({
      first: view.id === first,
      connected: (person.connections ?? []).filter(({ status }) => status === "active").map(({ toolkit }) => toolkit),
      schedules: person.schedules?.length ?? 0,
      triggers: person.triggers?.length ?? 0,
      facts: person.facts?.length ?? 0,
      offered: turns.get(view.id)?.offered ?? [],
    });
  }
}

function look() {
  for (const view of views.values()) view.look();
  tabs.count();
}

function offerPhones() {
  const dialog = document.getElementById("add-dialog");
  const field = document.getElementById("new-label");
  document.getElementById("add-phone").addEventListener("click", () => {
    field.value = "";
    dialog.showModal();
  });
  document.getElementById("add-cancel").addEventListener("click", () => dialog.close("cancel"));
  dialog.addEventListener("close", async () => {
    if (dialog.returnValue !== "add" || !field.value.trim()) return;
    dialog.returnValue = "";
    const phone = await api.post("/phones", { label: field.value });
    showPhone(phone);
    tabs.select(phone.id);
    const { node } = views.get(phone.id);
    node.scrollIntoView({ inline: "end", block: "nearest" });
    node.querySelector("textarea").focus();
  });
}

/** A sentence above the phones; empty: no problem. */
function tellProblem(sentence) {
  const line = document.getElementById("problem");
  line.hidden = !sentence;
  line.textContent = sentence;
}

/** For the emulated wa.me address: put the text into the composer of the phone whose link was opened last. */
function typeIn() {
  const text = new URLSearchParams(location.hash.slice(1)).get("text");
  if (!text || !views.size) return;
  history.replaceState(null, "", location.pathname);
  const view = views.get(localStorage.getItem("phone")) ?? views.values().next().value;
  tabs.select(view.id);
  view.type(text);
}

document.addEventListener("visibilitychange", look);
tabs.onSelect = look;
offerPhones();
offerLooks(document.getElementById("look"));
setClock(api, tellProblem);
offerMail(api, tellProblem);
open();
