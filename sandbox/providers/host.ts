import { type Cancellation, createCancellation } from './cancellation.ts';
import { commandPackage } from './command/package.ts';
import { grpc, providerGrpc } from './grpc.ts';
import { hcloudPackage } from './hcloud/package.ts';
import { createProviderService } from './service.ts';
import { tailscalePackage } from './tailscale/package.ts';
import type { Properties } from './values.ts';

export interface ProviderHostOptions {
  /** The environment of the first operation; see `use`. */
  environment?: Readonly<Record<string, string>>;
  /** Whether a command with these inputs may run; without this function, all may. */
  mayRun?(inputs: Properties): boolean;
}

export interface ProviderHost {
  /** For the CLI's `PULUMI_DEBUG_PROVIDERS`: `hcloud:PORT,tailscale:PORT,command:PORT`. */
  debugProviders: string;
  /** Sets the environment of the next operation: the providers' settings, and the commands' environment. */
  use(environment: Readonly<Record<string, string>>): void;
  /** Aborts HTTP requests and the process groups of commands. Resolves once they have ended. */
  abort(): Promise<void>;
  /** Aborts everything in progress, closes the host's ports and forgets its environment. */
  stop(): Promise<void>;
}

/** Variables that every command needs; all others are passed explicitly. */
const INHERITED_NAMES = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/**
 * Serves the builtin hcloud, tailscale and command providers on loopback to CLIs that this process starts,
 * one operation at a time. Each package has its own port, since the engine asks a port for one version only.
 * gRPC does not authenticate callers: the process must keep other users out, and stop the host after the
 * operation.
 */
export async function startProviderHost({
  environment: first = {},
  mayRun = () => true,
}: ProviderHostOptions = {}): Promise<ProviderHost> {
  let environment: Readonly<Record<string, string>> = { ...minimalEnvironment(), ...first };
  // One for each package, as each real plugin is a process of its own: the engine cancels the provider of
  // resources that are gone while those of another provider are still being deleted.
  const cancellations: Cancellation[] = [];
  const cancelAll = async () => {
    await Promise.all(cancellations.map((cancellation) => cancellation.cancel()));
  };
  const servers: InstanceType<typeof grpc.Server>[] = [];
  const ports: string[] = [];
  for (const provider of [hcloudPackage, tailscalePackage, commandPackage(mayRun)]) {
    const cancellation = createCancellation();
    cancellations.push(cancellation);
    const { server, port } = await serve(provider, () => environment, cancellation);
    servers.push(server);
    ports.push(`${provider.name}:${port}`);
  }
  return {
    debugProviders: ports.join(','),
    use(given) {
      environment = { ...minimalEnvironment(), ...given };
    },
    abort: cancelAll,
    async stop() {
      await cancelAll();
      for (const server of servers) server.forceShutdown();
      environment = {};
    },
  };
}

async function serve(
  provider: { name: string },
  environment: () => Readonly<Record<string, string>>,
  cancellation: Cancellation,
): Promise<{ server: InstanceType<typeof grpc.Server>; port: number }> {
  const megabytes = 1024 * 1024;
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 400 * megabytes });
  // The packages differ only in their clients, which no caller sees.
  const service = createProviderService(provider as Parameters<typeof createProviderService>[0], {
    environment,
    cancellation,
  });
  server.addService(providerGrpc.ResourceProviderService, service);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { server, port };
}

function minimalEnvironment(): Record<string, string> {
  const inherited = INHERITED_NAMES.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(inherited);
}
