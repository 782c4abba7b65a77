// Files of a message: pictures are shown, sounds can be played, other files can be opened.

import { made } from "./made.js";

/** The element that shows a message's file. */
export function attachment(message) {
  const { file, kind } = message;
  const url = file.link || `/phones/files/${file.id}`;
  if (kind === "image" || kind === "sticker") {
    const image = made("img", `picture ${kind}`);
    Object.assign(image, { src: url, alt: message.text, loading: "lazy" });
    return image;
  }
  if (kind === "audio" || kind === "video") {
    const player = made(kind, "player");
    Object.assign(player, { src: url, controls: true, preload: "metadata" });
    player.ariaLabel = file.voice ? "Voice message" : message.text;
    return player;
  }
  const anchor = made("a", "file", file.name || "File");
  Object.assign(anchor, { href: url, download: file.name || "file" });
  return anchor;
}

/** Records until stop() is called, which returns the sound, or null if nothing was recorded. */
export async function record() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const type = ["audio/ogg;codecs=opus", "audio/mp4;codecs=opus", "audio/mp4"].find((each) => MediaRecorder.isTypeSupported(each));
  const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
  const pieces = [];
  recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
  const ended = new Promise((resolve) => recorder.addEventListener("stop", resolve));
  recorder.start();
  return async () => {
    recorder.stop();
    await ended;
    for (const track of stream.getTracks()) track.stop();
    const sound = new Blob(pieces, { type: recorder.mimeType });
    return sound.size ? sound : null;
  };
}
