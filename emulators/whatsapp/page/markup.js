// WhatsApp's markup as DOM nodes. Text becomes text nodes only, so nothing in it can become an element.

const MARKS = [
  { pattern: /```([\s\S]+?)```/, tag: "pre", plain: true },
  { pattern: /`([^`\n]+)`/, tag: "code", plain: true },
  { pattern: /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]*_~]/, tag: "a", plain: true },
  { pattern: /(?<![\p{L}\p{N}])\*(?=\S)([^*\n]*[^*\s])\*(?![\p{L}\p{N}])/u, tag: "strong" },
  { pattern: /(?<![\p{L}\p{N}])_(?=\S)([^_\n]*[^_\s])_(?![\p{L}\p{N}])/u, tag: "em" },
  { pattern: /(?<![\p{L}\p{N}])~(?=\S)([^~\n]*[^~\s])~(?![\p{L}\p{N}])/u, tag: "s" },
];

/** The nodes that show a message's text. */
export function marked(text) {
  const first = earliest(text);
  if (!first) return text ? [document.createTextNode(text)] : [];
  const { match, mark } = first;
  const before = text.slice(0, match.index);
  const rest = text.slice(match.index + match[0].length);
  // A block ends its line by itself.
  const after = mark.tag === "pre" ? rest.replace(/^\n/, "") : rest;
  return [...(before ? [document.createTextNode(before)] : []), element(match, mark), ...marked(after)];
}

function earliest(text) {
  let best = null;
  for (const mark of MARKS) {
    const match = mark.pattern.exec(text);
    if (match && (!best || match.index < best.match.index)) best = { match, mark };
  }
  return best;
}

function element(match, mark) {
  const node = document.createElement(mark.tag);
  const inner = match[1] ?? match[0];
  if (mark.plain) node.textContent = mark.tag === "pre" ? inner.replace(/^\n|\n$/g, "") : inner;
  else node.append(...marked(inner));
  if (mark.tag === "a") Object.assign(node, { href: match[0], target: "_blank", rel: "noopener noreferrer" });
  return node;
}
