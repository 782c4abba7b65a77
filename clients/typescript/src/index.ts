export { KernelClient, type ClientOptions, type Content, type MessageOptions } from "./client.js";
export { Delivery, type Part } from "./delivery.js";
export { KernelError } from "./errors.js";
export type { PullOptions } from "./outbox.js";
export type { CallOptions } from "./repeats.js";
export * from "./gen/kernel/v1/media_pb.js";
export * from "./gen/kernel/v1/messages_pb.js";
export * from "./gen/kernel/v1/outbox_pb.js";
