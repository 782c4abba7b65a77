// The light and the dark look: the system's, until the person chooses one. The choice stays in this browser.

const KEY = "look";
const root = document.documentElement;
const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function current() {
  return root.dataset.look ?? (prefersDark.matches ? "dark" : "light");
}

// Before the first paint: the page loads this file as one that blocks rendering.
const chosen = localStorage.getItem(KEY);
if (chosen === "light" || chosen === "dark") root.dataset.look = chosen;

/** Let a button switch between the two looks. */
export function offerLooks(button) {
  const tell = () => {
    const dark = current() === "dark";
    button.ariaPressed = String(dark);
    button.querySelector("span").textContent = dark ? "☾" : "☀";
  };
  button.addEventListener("click", () => {
    root.dataset.look = current() === "dark" ? "light" : "dark";
    localStorage.setItem(KEY, root.dataset.look);
    tell();
  });
  prefersDark.addEventListener("change", tell);
  tell();
}
