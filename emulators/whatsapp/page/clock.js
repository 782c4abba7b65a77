// The emulated time: what it is, and the buttons that let it pass.

// With the browser's zone, since people may be in another.
const NOW = new Intl.DateTimeFormat(undefined, {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});
const TICK = 1000;
const HOUR = 3600;
const DAY = 24 * HOUR;

const group = document.getElementById("clock");
const face = document.getElementById("clock-now");
const ahead = document.getElementById("clock-ahead");
const next = document.getElementById("clock-next");
const buttons = [...group.querySelectorAll("button")];

/** Milliseconds by which the emulated time leads this browser's clock. */
let lead = 0;
let due = null;
let waits = false;

/** The emulated time in epoch seconds. */
function now() {
  return (Date.now() + lead) / 1000;
}

/** Show the time that the emulator tells. */
export function showTime({ now: at, ahead: seconds, passes }) {
  lead = at * 1000 - Date.now();
  group.hidden = !passes;
  ahead.textContent = seconds >= 60 ? `${inWords(seconds)} ahead` : "";
  lock();
  tick();
}

/** Offer to go to the next due time; null: nothing is due later. */
export function offerNext(at) {
  due = at;
  lock();
}

/** Let the buttons post to the emulator. `failed` is told why one did not work. */
export function setClock(api, failed) {
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      const body = button === next ? { until: due } : { seconds: Number(button.dataset.seconds) };
      waits = true;
      lock();
      try {
        await api.post("/phones/time", body);
        failed("");
      } catch (problem) {
        failed(`Time did not pass: ${problem.message}`);
      } finally {
        waits = false;
        lock();
      }
    });
  }
  setInterval(tick, TICK);
}

function lock() {
  group.ariaBusy = String(waits);
  for (const button of buttons) button.disabled = waits || (button === next && !(due > now()));
}

function tick() {
  const at = new Date(now() * 1000);
  const text = NOW.format(at);
  if (face.textContent === text) return;
  face.textContent = text;
  face.dateTime = at.toISOString();
}

function inWords(seconds) {
  const whole = Math.round(seconds / 60) * 60; // first, so that an hour never has 60 minutes
  const parts = [[Math.floor(whole / DAY), "day"], [Math.floor((whole % DAY) / HOUR), "h"], [(whole % HOUR) / 60, "min"]];
  return parts.filter(([number]) => number).slice(0, 2).map(([number, unit]) => `${number} ${unit === "day" && number > 1 ? "days" : unit}`).join(" ");
}
