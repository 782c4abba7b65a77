// node client.js <address> <token> <request as JSON>: HandleMessage by the server's reflection; prints the response.
const grpc = require("@grpc/grpc-js");
const { GrpcReflection } = require("grpc-js-reflection-client");

async function main(address, token, request) {
  const credentials = grpc.credentials.createInsecure();
  const descriptor = await new GrpcReflection(address, credentials).getDescriptorBySymbol("kernel.v1.KernelService");
  const { kernel } = descriptor.getPackageObject({ enums: String, longs: String });
  const client = new kernel.v1.KernelService(address, credentials);
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  const deadline = new Date(Date.now() + 30_000);
  const response = await new Promise((resolve, reject) =>
    client.HandleMessage(JSON.parse(request), metadata, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer)
    )
  );
  console.log(JSON.stringify(response));
  client.close();
}

main(...process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error.code, error.details ?? error.message);
    process.exit(1);
  }
);
