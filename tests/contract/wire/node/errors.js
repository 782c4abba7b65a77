// The meaning of a failed call: its reason, and whether the same call may succeed later, as the contract's descriptor says.
const grpc = require("@grpc/grpc-js");
const protobuf = require("protobufjs");
const descriptor = require("protobufjs/ext/descriptor");

descriptor.EnumValueOptions.add(new protobuf.Field("retryable", 50708, "bool")); // the option kernel.v1.retryable

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; }
  message ReflectionRequest { string file_containing_symbol = 4; }
  message Files { repeated bytes file_descriptor_proto = 1; }
  message ReflectionResponse { Files file_descriptor_response = 4; }
`);
const type = (name) => root.lookupType(name);

function reasonOf(error) {
  const status = error.metadata?.get("grpc-status-details-bin")[0]; // undefined: no service answered
  const details = status ? type("Status").decode(status).details : [];
  const found = details.find((each) => each.typeUrl.endsWith("/google.rpc.ErrorInfo"));
  return found ? type("ErrorInfo").decode(found.value).reason : "";
}

// Of every reason; a client asks once.
function retryableReasons(address, credentials) {
  const call = new grpc.Client(address, credentials).makeBidiStreamRequest(
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    (request) => Buffer.from(type("ReflectionRequest").encode(request).finish()),
    (bytes) => type("ReflectionResponse").decode(bytes)
  );
  call.write({ fileContainingSymbol: "kernel.v1.ErrorReason" });
  return new Promise((resolve, reject) => {
    call.on("error", reject);
    call.on("data", (response) => {
      call.end();
      const files = response.fileDescriptorResponse.fileDescriptorProto;
      const enums = files.flatMap((file) => descriptor.FileDescriptorProto.decode(file).enumType);
      const { value } = enums.find((each) => each.name === "ErrorReason");
      resolve(new Map(value.map(({ name, options }) => [name.replace("ERROR_REASON_", ""), options?.retryable])));
    });
  });
}

async function meaningOf(error, address, credentials) {
  const reason = reasonOf(error);
  const retryable = (await retryableReasons(address, credentials)).get(reason) ?? true;
  return { reason, retryable };
}

module.exports = { meaningOf };
