// node client.js <address> <token> <request as JSON>: HandleMessage by the server's reflection. Prints the response, or
// exits with 1 and prints what the error means.
const grpc = require("@grpc/grpc-js");
const { GrpcReflection } = require("grpc-js-reflection-client");
const { meaningOf } = require("./errors");

const credentials = grpc.credentials.createInsecure();

async function main(address, token, request) {
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

const given = process.argv.slice(2);
main(...given).then(
  () => process.exit(0),
  async (error) => {
    console.error(JSON.stringify(await meaningOf(error, given[0], credentials)));
    process.exit(1);
  }
);
