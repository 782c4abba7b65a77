// WhatsApp's markup as DOM nodes. Text becomes text nodes only, so nothing in it can become an element.
//
// The rules are those of WhatsApp's apps. A mark counts only at a word boundary, has no white space just inside it, and
// ends on its line. Three or more marks in a row are plain text, and so are marks in code and in addresses.
// Source: faq.whatsapp.com/539178204879377

const mark = (sign) =>
  new RegExp(`(?<![\\p{L}\\p{N}${sign}])${sign}(?![\\s${sign}])([^\\n]*?[^\\s${sign}])${sign}(?![\\p{L}\\p{N}${sign}])`, "u");

const MARKS = [
  { pattern: /`([^`\n]+)`/, tag: "code", plain: true },
  { pattern: /(?:https?:\/\/|(?<![\p{L}\p{N}.])www\.)[^\s<>"]+[^\s<>".,;:!?)\]*_~]/u, tag: "a", plain: true },
  { pattern: mark("\\*"), tag: "strong" },
  { pattern: mark("_"), tag: "em" },
  { pattern: mark("~"), tag: "s" },
];
const BLOCK = /```([\s\S]+?)```\n?/;
const LINES = [
  { pattern: /^> /, tag: "blockquote" },
  { pattern: /^[*-] /, tag: "span", lead: "• " },
];

/** The nodes that show a message's text. */
export function marked(text) {
  const nodes = [];
  let rest = text;
  for (let match = BLOCK.exec(rest); match; match = BLOCK.exec(rest)) {
    nodes.push(...lines(rest.slice(0, match.index)), code(match[1]));
    rest = rest.slice(match.index + match[0].length);
  }
  return [...nodes, ...lines(rest)];
}

/** A message's text without its marks. */
export function plain(text) {
  return marked(text).map((node) => node.textContent).join("");
}

function code(text) {
  const node = document.createElement(text.includes("\n") ? "pre" : "code");
  node.textContent = text.replace(/^\n|\n$/g, "");
  return node;
}

function lines(text) {
  const nodes = [];
  text.split("\n").forEach((line, number) => {
    const kind = LINES.find(({ pattern }) => pattern.test(line));
    // A quote already has separate lines.
    if (number && nodes.at(-1)?.nodeName !== "BLOCKQUOTE") nodes.push(document.createTextNode("\n"));
    if (!kind) return nodes.push(...inline(line));
    const node = document.createElement(kind.tag);
    node.append(kind.lead ?? "", ...inline(line.replace(kind.pattern, "")));
    nodes.push(node);
  });
  return nodes;
}

function inline(text) {
  const nodes = [];
  let before = 0;
  for (let found = earliest(text, 0); found; found = earliest(text, before)) {
    if (found.match.index > before) nodes.push(document.createTextNode(text.slice(before, found.match.index)));
    nodes.push(element(found));
    before = found.match.index + found.match[0].length;
  }
  return before < text.length ? [...nodes, document.createTextNode(text.slice(before))] : nodes;
}

/** The first mark at or after `from`. Its pattern may look at the text before it. */
function earliest(text, from) {
  let best = null;
  for (const kind of MARKS) {
    const pattern = new RegExp(kind.pattern.source, `g${kind.pattern.flags}`);
    pattern.lastIndex = from;
    const match = pattern.exec(text);
    if (match && (!best || match.index < best.match.index)) best = { match, kind };
  }
  return best;
}

function element({ match, kind }) {
  const node = document.createElement(kind.tag);
  const inner = match[1] ?? match[0];
  if (kind.plain) node.textContent = inner;
  else node.append(...inline(inner));
  if (kind.tag === "a") {
    const href = match[0].startsWith("http") ? match[0] : `https://${match[0]}`;
    Object.assign(node, { href, target: "_blank", rel: "noopener noreferrer" });
  }
  return node;
}
