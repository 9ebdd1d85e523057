import grpc from '@grpc/grpc-js';
import * as automationServer from '@pulumi/pulumi/automation/server.js';
import languageGrpc from '@pulumi/pulumi/proto/language_grpc_pb.js';

type Program = () => Promise<Record<string, unknown>>;

/** The class behind the SDK's inline programs. The SDK does not export its type. */
const { LanguageServer } = automationServer as unknown as {
  LanguageServer: new (
    program: Program,
  ) => grpc.UntypedServiceImplementation & { onPulumiExit(hasError: boolean): void };
};

const MAX_MESSAGE_BYTES = 400 * 1024 * 1024;

/**
 * Serves a Pulumi program the way the Automation API serves inline programs. The CLI is called with
 * `--client=<address>` and needs no language host.
 */
export async function serveProgram(program: Program): Promise<{ address: string; stop(): void }> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES });
  const language = new LanguageServer(program);
  server.addService(languageGrpc.LanguageRuntimeService, language);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    stop: () => {
      language.onPulumiExit(false);
      server.forceShutdown();
    },
  };
}
