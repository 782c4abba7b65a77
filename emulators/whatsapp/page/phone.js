// One phone on the page: its chat, the typing indicator and the composer.

import { bubble, refresh } from "./bubble.js";
import { closeOnEscape } from "./escape.js";
import { record } from "./files.js";
import { made } from "./made.js";
import { plain } from "./markup.js";
import { portrait } from "./portrait.js";
import { showChips, toTry } from "./suggestions.js";

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const NEAR_END = 120; // pixels

export class PhoneView {
  constructor(phone, api) {
    this.id = phone.id;
    this.label = phone.label;
    this.number = phone.number;
    this.unread = 0;
    this.api = api;
    this.messages = new Map();
    this.node = document.getElementById("phone-template").content.firstElementChild.cloneNode(true);
    this.chat = this.node.querySelector(".chat");
    this.list = this.chat.querySelector("ol");
    this.presence = this.node.querySelector(".presence");
    this.dress();
    this.update(phone);
  }

  dress() {
    const { node, label } = this;
    node.id = `phone-${this.id}`;
    node.querySelector(".owner-name").textContent = `${label}’s phone`;
    node.querySelector(".owner-id").textContent = this.number ? `+${this.number} · ${this.id}` : this.id;
    node.ariaLabel = `${label}’s phone`;
    this.chat.ariaLabel = `${label}’s chat with the assistant`;
    portrait(node.querySelector(".avatar"), label, this.id);
    this.list.append(made("li", "empty", `You are ${label}. Say something, or try one of these:`));
    node.querySelector(".suggestions").ariaLabel = `Things to try as ${label}`;
    closeOnEscape(node);
    const field = node.querySelector("textarea");
    field.ariaLabel = `Message from ${label}`;
    node.querySelector(".composer [type=submit]").ariaLabel = `Send as ${label}`;
    node.querySelector(".composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send(field);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send(field);
    });
    // A link that is opened on this phone may lead back to it.
    this.chat.addEventListener("click", (event) => {
      if (event.target.closest("a")) localStorage.setItem("phone", this.id);
    });
    this.offerFiles(field);
    this.followEnd();
  }

  offerFiles(field) {
    const { node, label } = this;
    const chooser = node.querySelector("input[type=file]");
    const attach = node.querySelector(".attach");
    const mic = node.querySelector(".record");
    chooser.ariaLabel = `File from ${label}`;
    attach.ariaLabel = `Send a file as ${label}`;
    mic.ariaLabel = `Record a voice message as ${label}`;
    attach.addEventListener("click", () => chooser.click());
    chooser.addEventListener("change", async () => {
      const [file] = chooser.files;
      chooser.value = "";
      const caption = field.value.trim();
      if (file && (await this.sendFile(file, { name: file.name, caption }))) field.value = "";
    });
    mic.addEventListener("click", () => this.record(mic));
    node.querySelector(".quoting button").addEventListener("click", () => this.quote(null));
  }

  /** The first click starts the recording, the second one sends it. */
  async record(mic) {
    if (this.stop) {
      const stop = this.stop;
      this.stop = null;
      mic.ariaPressed = "false";
      const sound = await stop();
      if (sound) await this.sendFile(sound, { voice: "true" });
      return;
    }
    try {
      this.stop = await record();
      mic.ariaPressed = "true";
    } catch {
      this.attempt(Promise.reject(new Error("the microphone cannot be used.")));
    }
  }

  sendFile(file, query) {
    return this.attempt(this.api.upload(`/phones/${this.id}/files?${new URLSearchParams(query)}`, file));
  }

  /** Quote a message with the next text; null: none. */
  quote(message) {
    this.quoted = message;
    const line = this.node.querySelector(".quoting");
    line.hidden = !message;
    line.querySelector("span").textContent = plain(message?.text ?? "");
    if (message) this.node.querySelector("textarea").focus();
  }

  /** Update the phone: only its typing indicator changes. */
  update(phone) {
    clearTimeout(this.typingEnds);
    const typing = phone.typing > 0;
    this.presence.textContent = typing ? "typing" : "business account";
    this.presence.classList.toggle("typing", typing);
    if (typing) this.typingEnds = setTimeout(() => this.update({ typing: 0 }), phone.typing * 1000);
  }

  /** Show a message, new or changed. */
  show(message) {
    const known = this.messages.has(message.id);
    this.messages.set(message.id, message);
    if (known) {
      refresh(this.list.querySelector(`[data-id="${CSS.escape(message.id)}"]`), message);
      return;
    }
    const item = bubble(message, this.messages.get(message.quotes), {
      choose: (choice) => this.tap(message, choice),
      quote: () => this.quote(message),
      react: (emoji) => this.react(message.id, emoji),
    });
    this.append(item, message);
    if (message.mine) this.chat.scrollTop = this.chat.scrollHeight;
  }

  /** Keep the end of the chat in sight if it was. A picture gets its height only once it is loaded. */
  followEnd() {
    let end = 0;
    const sizes = new ResizeObserver(() => {
      const { scrollHeight, scrollTop, clientHeight } = this.chat;
      if (end - scrollTop < NEAR_END) this.chat.scrollTop = scrollHeight;
      end = scrollHeight - clientHeight;
    });
    sizes.observe(this.chat);
    sizes.observe(this.list);
  }

  append(item, message) {
    this.list.querySelector(".empty")?.remove();
    const day = DAY.format(new Date(message.at * 1000));
    if (day !== this.lastDay) this.list.append(made("li", "day", day));
    item.classList.toggle("turn", day !== this.lastDay || message.mine !== this.lastMine);
    this.lastDay = day;
    this.lastMine = message.mine;
    this.list.append(item);
    if (message.mine) return;
    this.update({ typing: 0 });
    if (message.ticks !== "read") this.unread += 1;
  }

  /** React to a message, or take the same reaction back. */
  react(id, emoji) {
    const taken = this.messages.get(id).reacted === emoji;
    this.attempt(this.api.post(`/phones/${this.id}/reactions`, { message: id, emoji: taken ? "" : emoji }));
  }

  /** Suggest what to try next. `known` is what the system says of the person (see suggestions.js). */
  suggest(known) {
    const said = [...this.messages.values()].filter(({ mine }) => mine).map(({ text }) => text);
    const texts = toTry({ ...known, label: this.label, said });
    showChips(this.node.querySelector(".suggestions"), texts, (text) => this.type(text));
  }

  /** Put a text into the composer. */
  type(text) {
    const field = this.node.querySelector("textarea");
    field.value = text;
    field.focus();
  }

  /** Report the messages as read, if the chat is visible. */
  look() {
    if (!this.unread || document.visibilityState !== "visible" || !this.node.offsetParent) return;
    this.unread = 0;
    this.attempt(this.api.post(`/phones/${this.id}/read`, {}));
  }

  async send(field) {
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    field.focus();
    const quoted = this.quoted ? { message: this.quoted.id } : {};
    this.quote(null);
    const sent = await this.attempt(this.api.post(`/phones/${this.id}/messages`, { text, ...quoted }));
    if (!sent && !field.value) field.value = text;
  }

  tap(message, choice) {
    this.attempt(this.api.post(`/phones/${this.id}/taps`, { message: message.id, choice: choice.id }));
  }

  /** Whether a call succeeded; if not, show an error. */
  async attempt(call) {
    this.node.querySelector(".problem-line")?.remove();
    try {
      await call;
      return true;
    } catch (problem) {
      const line = made("p", "problem-line", `Not sent: ${problem.message}`);
      line.role = "alert";
      this.node.querySelector(".composer").before(line);
      return false;
    }
  }
}
