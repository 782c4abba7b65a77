// One phone on the page: its chat, the typing indicator and the composer.

import { bubble } from "./bubble.js";
import { record } from "./files.js";
import { made } from "./made.js";

const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export class PhoneView {
  constructor(phone, api) {
    this.id = phone.id;
    this.label = phone.label;
    this.unread = 0;
    this.api = api;
    this.messages = new Map();
    this.node = document.getElementById("phone-template").content.firstElementChild.cloneNode(true);
    this.chat = this.node.querySelector(".chat");
    this.presence = this.node.querySelector(".presence");
    this.dress();
    this.update(phone);
  }

  dress() {
    const { node, label } = this;
    node.id = `phone-${this.id}`;
    node.querySelector(".owner-name").textContent = `${label}’s phone`;
    node.querySelector(".owner-id").textContent = this.id;
    node.ariaLabel = `${label}’s phone`;
    this.chat.ariaLabel = `${label}’s chat with the assistant`;
    portrait(node.querySelector(".avatar"), label, this.id);
    this.chat.append(made("li", "empty", `Say something as ${label}.`));
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
    line.querySelector("span").textContent = message?.text ?? "";
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
    const low = this.chat.scrollHeight - this.chat.scrollTop - this.chat.clientHeight < 120;
    this.messages.set(message.id, message);
    const item = bubble(message, this.messages.get(message.quotes), {
      choose: (choice) => this.tap(message, choice),
      quote: () => this.quote(message),
      react: (emoji) => this.attempt(this.api.post(`/phones/${this.id}/reactions`, { message: message.id, emoji })),
    });
    if (known) this.replace(item);
    else this.append(item, message);
    if (!known && (low || message.mine)) this.chat.scrollTop = this.chat.scrollHeight;
  }

  append(item, message) {
    this.chat.querySelector(".empty")?.remove();
    const day = DAY.format(new Date(message.at * 1000));
    if (day !== this.lastDay) this.chat.append(made("li", "day", day));
    item.classList.toggle("turn", day !== this.lastDay || message.mine !== this.lastMine);
    this.lastDay = day;
    this.lastMine = message.mine;
    this.chat.append(item);
    if (message.mine) return;
    this.update({ typing: 0 });
    if (message.ticks !== "read") this.unread += 1;
  }

  replace(item) {
    const old = this.chat.querySelector(`[data-id="${CSS.escape(item.dataset.id)}"]`);
    item.classList.toggle("turn", old.classList.contains("turn"));
    old.replaceWith(item);
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

/** The initial and the colour of a person on the page. */
export function portrait(node, label, id) {
  node.textContent = [...label][0].toUpperCase();
  const hue = [...id].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) % 360, 7);
  node.style.setProperty("--hue", hue);
}
