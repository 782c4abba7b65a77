import { randomUUID } from "node:crypto";
import { isIP } from "node:net";

import { create, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";

import { Calls, type Methods, type Unary } from "./calls.js";
import type { Delivery } from "./delivery.js";
import { KernelError } from "./errors.js";
import {
  ReplyMode,
  StreamMessageResponseSchema,
  type HandleMessageRequestSchema,
  type HandleMessageResponse,
  type PayloadSchema,
  type Reply,
  type StreamMessageResponse,
} from "./gen/kernel/v1/messages_pb.js";
import { Outbox, type PullOptions } from "./outbox.js";
import { Repeats, type CallOptions } from "./repeats.js";

const TURN_MILLISECONDS = 120_000;

/** A text, or any other content. */
export type Content = string | MessageInitShape<typeof PayloadSchema>;

/** Further properties of a message. */
export interface MessageOptions extends CallOptions {
  /** The same id again is the same message, and gets the first answer; absent: a new message. */
  messageId?: string;
  /** The address to which the person wrote. */
  address?: string;
  /** The person's time zone, as `Europe/Vienna`. */
  timeZone?: string;
}

/** How to reach the service. */
export interface ClientOptions {
  /** Certificates in PEM; absent: plain text, which leaves this machine only with `allowInsecure`. */
  rootCertificates?: Buffer;
  allowInsecure?: boolean;
}

/**
 * One channel's way to the kernel service.
 *
 * Each call is repeated while the contract's own table says that a repeat may help, until its `timeout` has passed. Then
 * it throws a `KernelError`. A repeat has no further effect: the service recognises what it has done. The first problem of
 * each kind is a warning of the process. A token that the service has never accepted is thrown at once.
 * One that it has accepted before is repeated, since the nodes of a service get new tokens one after the other.
 */
export class KernelClient {
  readonly #calls: Calls;
  readonly #outboxes = new Set<Outbox>();

  /**
   * @param address a gRPC target, as `127.0.0.1:50051`
   * @param token that of the channel (`KERNEL_CHANNEL_TOKENS` of the service)
   * @throws TypeError if they cannot be used
   */
  constructor(address: string, token: string, { rootCertificates, allowInsecure = false }: ClientOptions = {}) {
    if (!rootCertificates && !allowInsecure && !staysHere(address)) {
      throw new TypeError(`${address} leads to another machine: give rootCertificates, or allowInsecure for plain text`);
    }
    if (!token.trim()) {
      throw new TypeError("the token is empty: give that of the channel, of the service's KERNEL_CHANNEL_TOKENS");
    }
    if (!/^[ -~]+$/.test(token)) {
      throw new TypeError("the token holds a line break, or another character that no call can carry");
    }
    this.#calls = new Calls(address, token, rootCertificates);
  }

  /** End every iteration, release what waits, and end the connection. */
  async close(): Promise<void> {
    await Promise.all([...this.#outboxes].map((outbox) => outbox.end()));
    this.#calls.close();
  }

  /** Pass on a person's message, wait for the answer, and return its replies. `userId` is `<channel>:<id>`. */
  async send(userId: string, message: Content, options: MessageOptions = {}): Promise<Reply[]> {
    const request = requestOf(userId, message, ReplyMode.INLINE, options);
    return (await this.#calls.unary("handleMessage", request, { timeout: TURN_MILLISECONDS, ...options })).replies;
  }

  /** Pass on a person's message, which is durable after the return. Its replies come through `replies`. */
  async submit(userId: string, message: Content, options: MessageOptions = {}): Promise<HandleMessageResponse> {
    return this.#calls.unary("handleMessage", requestOf(userId, message, ReplyMode.OUTBOX, options), options);
  }

  /**
   * As `send`, with events while the answer is made. The last one is `completed`. After a broken connection a `textReset`
   * voids the text so far, and the events begin again.
   */
  async *stream(
    userId: string,
    message: Content,
    options: MessageOptions = {},
  ): AsyncGenerator<StreamMessageResponse, void, undefined> {
    const request = { message: requestOf(userId, message, ReplyMode.INLINE, options) };
    const repeats = new Repeats({ timeout: TURN_MILLISECONDS, ...options });
    for (let hasText = false; ; ) {
      try {
        await this.#calls.connected(repeats.deadline);
        for await (const event of this.#calls.stream("streamMessage", request, repeats.deadline)) {
          this.#calls.admitted();
          hasText ||= event.event.case === "textDelta";
          yield event;
          if (event.event.case === "completed") return;
        }
        throw new KernelError("UNAVAILABLE", "the answer ended before it was complete");
      } catch (error) {
        if (hasText) yield create(StreamMessageResponseSchema, { event: { case: "textReset", value: {} } });
        hasText = false;
        await repeats.pauseAfter(error, this.#calls);
      }
    }
  }

  /** Any call of the contract with one response, as `kernel.call("createSchedule", {…})`. */
  call<Name extends Unary>(
    name: Name,
    request: MessageInitShape<Methods[Name]["input"]>,
    options: CallOptions = {},
  ): Promise<MessageShape<Methods[Name]["output"]>> {
    return this.#calls.unary(name, request, options);
  }

  /**
   * Replies for the people of a channel, each leased to this process alone. Acknowledge each one.
   *
   * It ends with `close`, or throws a `KernelError` if the service permanently refuses it, as for a wrong token.
   */
  async *replies(channel: string, options: PullOptions = {}): AsyncGenerator<Delivery, void, undefined> {
    const outbox = new Outbox(this.#calls, channel, options);
    this.#outboxes.add(outbox);
    try {
      yield* outbox.items();
    } finally {
      this.#outboxes.delete(outbox);
    }
  }
}

function requestOf(
  userId: string,
  message: Content,
  replyMode: ReplyMode,
  { messageId = randomUUID(), address = "", timeZone = "" }: MessageOptions,
): MessageInitShape<typeof HandleMessageRequestSchema> {
  const payload: MessageInitShape<typeof PayloadSchema> =
    typeof message === "string" ? { content: { case: "text", value: message } } : message;
  return { userId, messageId, address, timeZone, payload, replyMode };
}

/** Whether plain text to this address stays on this machine. A name other than localhost may lead anywhere. */
function staysHere(address: string): boolean {
  if (address.startsWith("unix:")) return true;
  const host = address.replace(/^dns:(\/\/\/)?/, "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
