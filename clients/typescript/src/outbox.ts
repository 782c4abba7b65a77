import { hostname } from "node:os";
import { randomUUID } from "node:crypto";

import type { ClientReadableStream } from "@grpc/grpc-js";

import { OPENING_MILLISECONDS, type Calls } from "./calls.js";
import { Delivery } from "./delivery.js";
import { errorOf, KernelError } from "./errors.js";
import { LeaseState, OutboxItemKind, type PullOutboxResponse } from "./gen/kernel/v1/outbox_pb.js";
import { pause, warn, type CallOptions } from "./repeats.js";

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
/** No pause that the service asks for is longer. */
const LONGEST_ASKED = 30_000;
const RENEW_MILLISECONDS = 20_000;
/** A reply that the caller has had for this long is not renewed any more: it comes again. */
const HELD_MILLISECONDS = 300_000;
const BEAT_MILLISECONDS = 1000;
/** After this time without a beat the process counts as suspended: by SIGSTOP, with its machine, or by a blocked loop. */
const STOPPED_MILLISECONDS = 5000;
/** Replies whose leases one call names. */
const MOST_AT_ONCE = 1000;
const UNAVAILABLE = new Set(["UNAVAILABLE", "UNREACHABLE", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE"]);

/** Which replies to pull. */
export interface PullOptions {
  /** The addresses to send from; empty: all of the channel's. */
  addresses?: string[];
  /** The most replies that wait here or are not acknowledged. */
  maxInFlight?: number;
}

/** The replies that one caller iterates. Their leases are renewed, so that a slow caller gets each reply once. */
export class Outbox {
  readonly #instanceId = `${hostname().slice(0, 50)}-${process.pid}-${randomUUID().slice(0, 8)}`;
  readonly #ending = new AbortController();
  readonly #waiting: Delivery[] = [];
  readonly #held = new Map<string, { delivery: Delivery; since: number }>();
  #stream: ClientReadableStream<PullOutboxResponse> | undefined;
  #told = "";
  #wake: () => void = () => undefined;
  #working: Promise<void>[] = [];
  #ended: Promise<void> | undefined;
  #refusal: KernelError | undefined;
  #beatAt = performance.now();
  #beating: NodeJS.Timeout | undefined;

  constructor(
    readonly calls: Calls,
    readonly channel: string,
    readonly options: PullOptions,
  ) {}

  /** The replies, until `end`. Throws a `KernelError` that no repeat helps against. */
  async *items(): AsyncGenerator<Delivery, void, undefined> {
    this.#working = [this.#pull(), this.#renew()];
    this.#beating = setInterval(() => this.#beat(), BEAT_MILLISECONDS);
    try {
      while (!this.#ending.signal.aborted) {
        this.#beat();
        const delivery = this.#waiting.shift();
        if (delivery === undefined) {
          if (this.#refusal) throw this.#refusal;
          await new Promise<void>((resolve) => (this.#wake = resolve));
        } else if (delivery.isLive && delivery.leaseEnds > performance.now()) {
          this.#held.set(delivery.reply.id, { delivery, since: performance.now() });
          yield delivery;
        }
      }
    } finally {
      await this.end();
    }
  }

  /** End the iteration, and release the replies that the caller does not have. */
  end(): Promise<void> {
    return (this.#ended ??= this.#end());
  }

  async #end(): Promise<void> {
    this.#ending.abort();
    clearInterval(this.#beating);
    this.#stream?.cancel();
    this.#wake();
    await Promise.all(this.#working);
    await this.#release({ timeout: 2000 }).catch(() => undefined); // otherwise the leases end with the stream
  }

  async #pull(): Promise<void> {
    for (let longest = FIRST_PAUSE; !this.#ending.signal.aborted; ) {
      const began = performance.now();
      let asked = 0;
      try {
        await this.#releaseLost();
        await this.#readStream();
      } catch (error) {
        if (this.#ending.signal.aborted) return this.#lose();
        if (!(error instanceof KernelError)) throw error;
        asked = Math.min(error.retryAfter, LONGEST_ASKED);
        if (!this.calls.mayPass(error)) this.#refusal = error;
        else if (error.reason !== this.#told) warn(`replies cannot be pulled: ${error.message}; still trying`);
        this.#told = error.reason;
      }
      this.#lose();
      if (this.#refusal) return this.#wake();
      longest = performance.now() - began > LONGEST_PAUSE ? FIRST_PAUSE : Math.min(LONGEST_PAUSE, longest * 2);
      await pause(Math.max(Math.random() * longest, asked), this.#ending.signal).catch(() => undefined);
    }
  }

  #readStream(): Promise<void> {
    const stream = this.calls.stream("pullOutbox", {
      channel: this.channel,
      addresses: this.options.addresses ?? [],
      instanceId: this.#instanceId,
      maxInFlight: this.options.maxInFlight ?? 64,
      kinds: [OutboxItemKind.REPLY],
    });
    this.#stream = stream;
    return new Promise<void>((resolve, reject) => {
      const late = (): void => {
        reject(new KernelError("UNREACHABLE", "what answers at the address serves no stream"));
        stream.cancel();
      };
      const opening = setTimeout(late, OPENING_MILLISECONDS);
      stream.on("metadata", () => clearTimeout(opening));
      stream.on("data", (response: PullOutboxResponse) => {
        this.calls.admitted();
        this.#take(stream, response);
      });
      stream.on("error", (error) => {
        clearTimeout(opening);
        if (this.#ending.signal.aborted) resolve();
        else reject(errorOf(error));
      });
      stream.on("end", () => {
        clearTimeout(opening);
        resolve();
      });
    });
  }

  /** After a suspension others may have the replies that wait here, and the stream may bring earlier leases. */
  #beat(): boolean {
    const now = performance.now();
    const wasSuspended = now - this.#beatAt > STOPPED_MILLISECONDS;
    this.#beatAt = now;
    if (wasSuspended) {
      this.#stream?.cancel();
      this.#stream = undefined; // its further items do not count
      this.#lose();
    }
    return wasSuspended;
  }

  #take(stream: ClientReadableStream<PullOutboxResponse>, { item }: PullOutboxResponse): void {
    if (this.#beat() || stream !== this.#stream) return;
    this.#told = "";
    if (item.case !== "reply" || !item.value.reply) return;
    const { id } = item.value.reply;
    const known = this.#held.get(id)?.delivery ?? this.#waiting.find((each) => each.reply.id === id);
    if (known) known.lease(item.value);
    else this.#waiting.push(new Delivery(item.value, this.calls, () => this.#held.delete(id)));
    this.#wake();
  }

  /** The stream has ended: what waits is leased again, by this process or another. */
  #lose(): void {
    this.#waiting.length = 0;
    for (const { delivery } of this.#held.values()) delivery.isLive = false;
  }

  /** Release what an earlier stream had leased and did not bring. After most errors the leases end by themselves. */
  async #releaseLost(): Promise<void> {
    if (this.#held.size > MOST_AT_ONCE) return;
    try {
      await this.#release({ timeout: 30_000, signal: this.#ending.signal });
    } catch (error) {
      if (!(error instanceof KernelError) || UNAVAILABLE.has(error.reason)) throw error;
    }
  }

  async #release(options: CallOptions): Promise<void> {
    await this.calls.unary("releaseLeases", { instanceId: this.#instanceId, inHand: [...this.#held.keys()] }, options);
  }

  async #renew(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      await pause(RENEW_MILLISECONDS, this.#ending.signal).catch(() => undefined);
      await this.#extend().catch(() => undefined); // a lease that ends comes again
    }
  }

  async #extend(): Promise<void> {
    const now = performance.now();
    for (const [id, { since }] of this.#held) if (now - since > HELD_MILLISECONDS) this.#held.delete(id);
    const kept = [...[...this.#held.values()].map(({ delivery }) => delivery), ...this.#waiting];
    if (this.#ending.signal.aborted || kept.length === 0) return;
    for (let start = 0; start < kept.length; start += MOST_AT_ONCE) {
      await this.#extendThese(kept.slice(start, start + MOST_AT_ONCE), now);
    }
  }

  async #extendThese(kept: Delivery[], now: number): Promise<void> {
    const leases = kept.map(({ reply, leaseToken }) => ({ replyId: reply.id, leaseToken }));
    const answer = await this.calls.unary("extendLeases", { leases }, { signal: this.#ending.signal });
    kept.forEach((delivery, place) => {
      if (answer.results[place] !== LeaseState.HELD || delivery.leaseToken !== leases[place]?.leaseToken) return;
      delivery.leaseEnds = now + Number(answer.leaseFor?.seconds ?? 0) * 1000;
    });
  }
}
