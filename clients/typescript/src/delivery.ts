import type { MessageInitShape } from "@bufbuild/protobuf";

import { durationFromMs } from "@bufbuild/protobuf/wkt";

import type { Calls } from "./calls.js";
import type { Reply } from "./gen/kernel/v1/messages_pb.js";
import { AckResult, type PartAcknowledgementSchema, type ReplyDelivery } from "./gen/kernel/v1/outbox_pb.js";

type Result = NonNullable<MessageInitShape<typeof PartAcknowledgementSchema>["result"]>;

/** The part of a reply that was split into several messages, from 1, and their number. */
export interface Part {
  part: number;
  parts: number;
}

const WHOLE: Part = { part: 1, parts: 1 };

/**
 * A reply for a person, which this process alone may send now.
 *
 * Call one of `delivered`, `retry`, `failed`, `windowClosed` and `inDoubt`. Each resolves once the service has recorded
 * it: to true if it counts, to false if the lease had ended.
 */
export class Delivery {
  /** The content, as the contract has it. */
  readonly reply: Reply;
  /** The person, `<channel>:<id>`. */
  readonly userId: string;
  /** The address to send from: that of the message which is answered. */
  readonly address: string;
  /** The parts that were sent before, from 1. They are not sent again. */
  readonly sentParts: readonly number[];
  /** Returned with acknowledgements. */
  leaseToken = "";
  /** On the clock of `performance.now()`. */
  leaseEnds = 0;
  /** Whether a send may begin: the stream that brought it is open. */
  isLive = true;
  readonly #calls: Calls;
  readonly #ended: () => void;

  constructor(leased: ReplyDelivery, calls: Calls, ended: () => void) {
    if (!leased.reply) throw new TypeError("a delivery without a reply");
    this.reply = leased.reply;
    this.userId = leased.userId;
    this.address = leased.address;
    this.sentParts = leased.split?.sentParts ?? [];
    this.#calls = calls;
    this.#ended = ended;
    this.lease(leased);
  }

  /** A further lease of the same reply replaces the one before. */
  lease(leased: ReplyDelivery): void {
    this.leaseToken = leased.leaseToken;
    this.leaseEnds = performance.now() + Number(leased.leaseFor?.seconds ?? 0) * 1000;
    this.isLive = true;
  }

  /** The network accepted it, under this id of the network. */
  delivered(channelMessageId = "", part = WHOLE): Promise<boolean> {
    return this.#end({ case: "sent", value: { channelMessageId } }, part);
  }

  /** It was not sent, for a temporary reason: it comes again, no earlier than `after` milliseconds from now. */
  retry(errorCode = "", { after = 0, part = 1, parts = 1 }: Partial<Part> & { after?: number } = {}): Promise<boolean> {
    const retryAfter = after > 0 ? durationFromMs(Math.round(after)) : undefined;
    return this.#end({ case: "retry", value: { errorCode, retryAfter } }, { part, parts });
  }

  /** It was not sent and never will be. */
  failed(errorCode = "", part = WHOLE): Promise<boolean> {
    return this.#end({ case: "failed", value: { errorCode } }, part);
  }

  /** The network allows no message to the person until they write: it is held until then. */
  windowClosed(errorCode = "", part = WHOLE): Promise<boolean> {
    return this.#end({ case: "windowClosed", value: { errorCode } }, part);
  }

  /** It is unknown whether it was sent: a receipt settles it, or it comes again after a grace period. */
  inDoubt(errorCode = "", part = WHOLE): Promise<boolean> {
    return this.#end({ case: "inDoubt", value: { errorCode } }, part);
  }

  async #end(result: Result, { part, parts }: Part): Promise<boolean> {
    const settled = { part: { replyId: this.reply.id, part, parts }, result };
    const acknowledgement = { leaseToken: this.leaseToken, item: { case: "part" as const, value: settled } };
    // A reply that was surely not sent may come again before this call is answered; any other must not.
    const mayBeSent = result.case === "sent" || result.case === "inDoubt";
    if (!mayBeSent) this.#ended();
    const { results } = await this.#calls.unary("ackOutbox", { acknowledgements: [acknowledgement] });
    if (mayBeSent && (result.case === "inDoubt" || part === parts)) this.#ended();
    return results[0] === AckResult.RECORDED;
  }
}
