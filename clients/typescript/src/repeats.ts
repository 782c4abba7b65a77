import { errorOf, KernelError } from "./errors.js";

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;
const LONGEST_TIMER = 2 ** 31 - 1; // a longer one would end at once

/** Whether a repeat may help against an error. */
export interface Judge {
  mayPass(error: KernelError): boolean;
}

/** How long a call may take, repeats included, and what ends it before that. */
export interface CallOptions {
  /** In milliseconds. */
  timeout?: number;
  signal?: AbortSignal;
}

/** The attempts of one call, until its deadline in epoch milliseconds. */
export class Repeats {
  readonly deadline: number;
  readonly #signal: AbortSignal | undefined;
  #longest = FIRST_PAUSE;
  #told = "";

  constructor({ timeout = 30_000, signal }: CallOptions) {
    this.deadline = Date.now() + timeout;
    this.#signal = signal;
    signal?.throwIfAborted();
  }

  /** Wait before the next attempt. Throws the error if a repeat would not help, or no time remains for one. */
  async pauseAfter(thrown: unknown, judge: Judge): Promise<void> {
    this.#signal?.throwIfAborted();
    const error = errorOf(thrown);
    if (!(error instanceof KernelError && judge.mayPass(error))) throw error;
    const wait = Math.max(Math.random() * this.#longest, error.retryAfter);
    if (Date.now() + wait >= this.deadline) throw error;
    if (error.reason !== this.#told) warn(`repeating a call: ${error.message}`);
    this.#told = error.reason;
    this.#longest = Math.min(LONGEST_PAUSE, this.#longest * 2);
    await pause(wait, this.#signal);
  }
}

/** Tell the operator: Node.js writes warnings to stderr, unless the program handles them. */
export function warn(problem: string): void {
  process.emitWarning(problem, "KernelClient");
}

/** Resolves after this many milliseconds, and rejects if the signal is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, Math.min(milliseconds, LONGEST_TIMER));
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
