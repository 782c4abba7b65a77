// Escape closes what is open: the gestures of a message, a list of choices, a quote. Dialogs close by themselves.

/** Close what is open within a node, and return the focus to what opened it. */
export function closeOnEscape(node) {
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = event.target.closest("details[open]") ?? node.querySelector("details[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
      return;
    }
    const quoting = node.querySelector(".quoting:not([hidden])");
    quoting?.querySelector("button").click();
  });
}
