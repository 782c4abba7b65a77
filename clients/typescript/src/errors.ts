import { fromBinary, getOption, hasOption } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status as codes, type ServiceError } from "@grpc/grpc-js";

import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";
import { ErrorReasonSchema, retryable } from "./gen/kernel/v1/errors_pb.js";

/** The kernel service did not do what was asked. */
export class KernelError extends Error {
  /** Whether the same call may succeed later. The contract's own table says so. */
  readonly retryable: boolean;

  /**
   * @param reason an ErrorReason of the contract without its prefix, else the name of the gRPC status
   * @param retryAfter the minimum wait in milliseconds before a repeat; 0: the caller decides
   */
  constructor(
    readonly reason: string,
    message = "",
    readonly retryAfter = 0,
  ) {
    super(message ? `${reason}: ${message}` : reason);
    this.name = "KernelError";
    this.retryable = isRetryable(reason);
  }
}

function isRetryable(reason: string): boolean {
  const value = ErrorReasonSchema.values.find((each) => each.name === `ERROR_REASON_${reason}`);
  return value === undefined || !hasOption(value, retryable) || getOption(value, retryable);
}

/** The error of a failed call. Any other exception is returned as it is. */
export function errorOf(error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && "metadata" in error)) return error;
  const { code, details, metadata } = error as ServiceError;
  let reason = codes[code] ?? "UNKNOWN";
  let retryAfter = 0;
  const [given] = metadata.get("grpc-status-details-bin");
  try {
    for (const detail of given instanceof Buffer ? fromBinary(StatusSchema, given).details : []) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info?.domain === "kernel.v1") reason = info.reason;
      const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
      if (delay) retryAfter = Number(delay.seconds) * 1000 + delay.nanos / 1e6;
    }
  } catch {
    // The details are a proxy's, or damaged: the status alone counts.
  }
  return new KernelError(reason, details, retryAfter);
}
