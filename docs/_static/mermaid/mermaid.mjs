// The module that the pages import. The package's file beside it, unchanged, is a classic script, not a module.
await new Promise((resolve, reject) => {
  const script = document.createElement("script");
  script.src = new URL("mermaid.tiny.js", import.meta.url);
  script.onload = resolve;
  script.onerror = reject;
  document.head.append(script);
});

export default globalThis.mermaid;
