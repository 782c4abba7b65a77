// Creates the elements of the page.

/** An element with a class and a text. */
export function made(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}
