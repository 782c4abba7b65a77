// The initial and the colour by which a person is recognised.

/** Dress an avatar. */
export function portrait(node, label, id) {
  node.textContent = [...label][0].toUpperCase();
  const hue = [...id].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) % 360, 7);
  node.style.setProperty("--hue", hue);
}
