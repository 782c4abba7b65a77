import { create, fromBinary, toBinary, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  type ChannelOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
} from "@grpc/grpc-js";

import { KernelError } from "./errors.js";
import { KernelService } from "./gen/kernel/v1/kernel_pb.js";
import { Repeats, type CallOptions } from "./repeats.js";

const CONNECT_MILLISECONDS = 3000;
/** How long what answers at the address may take to serve a stream. */
export const OPENING_MILLISECONDS = 5000;
// Half of what the service reads at once. No repeat would help a request that is larger.
const MOST_BYTES = 2 * 1024 * 1024;

// A node that died or froze is noticed within five seconds.
const OPTIONS: ChannelOptions = {
  "grpc.enable_http_proxy": 0,
  "grpc.keepalive_time_ms": 3000,
  "grpc.keepalive_timeout_ms": 2000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 2000,
};

const REFUSED_TOKEN = new Set(["TOKEN_MISSING", "TOKEN_INVALID", "UNAUTHENTICATED"]);

/** The calls of `KernelService`. */
export type Methods = typeof KernelService.method;
type Names<Kind> = { [Name in keyof Methods]: Methods[Name]["methodKind"] extends Kind ? Name : never }[keyof Methods];
/** The calls of `KernelService` with one request and one response. */
export type Unary = Names<"unary">;
/** The calls of `KernelService` with one request and a stream of responses. */
export type Streaming = Names<"server_streaming">;

/** The calls of the contract, over one connection to any node. */
export class Calls {
  readonly #client: Client;
  readonly #metadata = new Metadata();
  #isAdmitted = false;

  constructor(address: string, token: string, rootCertificates?: Buffer) {
    const trust = rootCertificates ? credentials.createSsl(rootCertificates) : credentials.createInsecure();
    this.#client = new Client(address, trust, OPTIONS);
    this.#metadata.set("authorization", `Bearer ${token}`);
  }

  /** End all calls. */
  close(): void {
    this.#client.close();
  }

  /** The service has served a call, so it knows the token. */
  admitted(): void {
    this.#isAdmitted = true;
  }

  /**
   * Whether a call may succeed later. A token that the service has never accepted is a wrong setting; one that it has
   * accepted may be valid again, as when a node has not got the new setting yet.
   */
  mayPass({ reason, retryable }: KernelError): boolean {
    return retryable && (this.#isAdmitted || !REFUSED_TOKEN.has(reason));
  }

  /** One call. It is repeated while the contract's table says that a repeat may help. */
  async unary<Name extends Unary>(
    name: Name,
    request: MessageInitShape<Methods[Name]["input"]>,
    options: CallOptions = {},
  ): Promise<MessageShape<Methods[Name]["output"]>> {
    const repeats = new Repeats(options);
    for (;;) {
      try {
        await this.connected(repeats.deadline);
        const answer = await this.#attempt(name, request, repeats.deadline, options.signal);
        this.admitted();
        return answer;
      } catch (error) {
        await repeats.pauseAfter(error, this);
      }
    }
  }

  /** The responses of one call, which is not repeated. Iterate or cancel it. */
  stream<Name extends Streaming>(
    name: Name,
    request: MessageInitShape<Methods[Name]["input"]>,
    deadline?: number,
  ): ClientReadableStream<MessageShape<Methods[Name]["output"]>> {
    const { path, deserialize } = wire(KernelService.method[name]);
    const message = written(KernelService.method[name].input, request as Record<string, unknown>);
    return this.#client.makeServerStreamRequest(path, asItIs, deserialize, message, this.#metadata, {
      ...(deadline === undefined ? {} : { deadline }),
    }) as ClientReadableStream<MessageShape<Methods[Name]["output"]>>;
  }

  /** Resolves once a node is connected. */
  connected(deadline: number): Promise<void> {
    const until = Math.min(deadline, Date.now() + CONNECT_MILLISECONDS);
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(until, (problem) => {
        if (problem) reject(new KernelError("UNREACHABLE", "nothing answers at the address"));
        else resolve();
      });
    });
  }

  #attempt<Name extends Unary>(
    name: Name,
    request: MessageInitShape<Methods[Name]["input"]>,
    deadline: number,
    signal?: AbortSignal,
  ): Promise<MessageShape<Methods[Name]["output"]>> {
    const { path, deserialize } = wire(KernelService.method[name]);
    const message = written(KernelService.method[name].input, request as Record<string, unknown>);
    return new Promise((resolve, reject) => {
      const call: ClientUnaryCall = this.#client.makeUnaryRequest(
        path,
        asItIs,
        deserialize,
        message,
        this.#metadata,
        { deadline },
        (error, answer) => {
          signal?.removeEventListener("abort", cancel);
          if (error) reject(error);
          else resolve(answer as MessageShape<Methods[Name]["output"]>);
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }
}

/** The bytes of a request. */
function written(kind: DescMessage, request: Record<string, unknown>): Buffer {
  const bytes = Buffer.from(toBinary(kind, create(kind, request)));
  if (bytes.length > MOST_BYTES) {
    throw new KernelError("PAYLOAD_TOO_LARGE", `a request may hold at most ${MOST_BYTES} bytes`);
  }
  return bytes;
}

function asItIs(bytes: Buffer): Buffer {
  return bytes;
}

function wire(method: { name: string; output: DescMessage }) {
  return {
    path: `/${KernelService.typeName}/${method.name}`,
    deserialize: (bytes: Buffer) => fromBinary(method.output, bytes),
  };
}
