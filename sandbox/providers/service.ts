import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Cancellation } from './cancellation.ts';
import { createEngineLog, type EngineLog } from './engine-log.ts';
import { emptyProto, fromStruct, pluginProto, providerProto } from './grpc.ts';
import { type Handler, handle } from './handler.ts';
import * as methods from './methods.ts';
import type { ProviderPackage } from './resource.ts';
import { unwrapSecrets } from './values.ts';

export interface ServiceDependencies {
  /** The environment of the operation in progress. */
  environment(): Readonly<Record<string, string>>;
  cancellation: Cancellation;
}

/** Pulumi's ResourceProvider service for one package. Missing methods answer UNIMPLEMENTED. */
export function createProviderService<Client>(
  provider: ProviderPackage<Client>,
  { environment, cancellation }: ServiceDependencies,
): UntypedServiceImplementation {
  const log = createEngineLog();
  const connections = createConnections(provider, environment);
  const serving: methods.Serving<Client> = {
    provider,
    clientFor: connections.clientFor,
    withTime: ({ urn, timeoutSeconds }, call, work) => {
      const about = { name: methods.toName(urn), showStatus: (line: string) => log.status(urn, line) };
      return cancellation.run((signal) => work({ signal, ...about }), call.gone, timeoutSeconds);
    },
  };
  return {
    ...aboutItself(provider.version, log),
    configure: handle(connections.configure),
    check: handle(methods.check(serving)),
    diff: handle(methods.diff(serving)),
    create: handle(methods.create(serving)),
    read: handle(methods.read(serving)),
    update: handle(methods.update(serving)),
    delete: handle(methods.remove(serving)),
    invoke: handle(methods.invoke(serving)),
    // The engine sends this when it is interrupted and at the end of every run, so the service keeps running.
    cancel: handle(async () => {
      await cancellation.cancel();
      log.detach();
      connections.forget();
      return new emptyProto.Empty();
    }),
  };
}

/** Each provider instance of a program has its own connection and settings. */
function createConnections<Client>(
  provider: ProviderPackage<Client>,
  environment: () => Readonly<Record<string, string>>,
) {
  const clients = new Map<string, Client>();
  let latest: Client | undefined;
  const configure: Handler<
    methods.Instance<'ConfigureRequest'>,
    methods.Instance<'ConfigureResponse'>
  > = async (request, { peer }) => {
    const { plain } = unwrapSecrets(fromStruct(request.getArgs()));
    latest = provider.connect(environment(), plain);
    clients.set(peer, latest);
    const response = new providerProto.ConfigureResponse();
    response.setAcceptsecrets(true);
    response.setSupportspreview(true);
    return response;
  };
  return {
    configure,
    clientFor(peer: string): Client {
      // A connection that was idle for a long time may have been reopened under another number.
      const client = clients.get(peer) ?? latest;
      if (client === undefined) throw new Error(`the ${provider.name} provider was not configured`);
      return client;
    },
    forget: () => clients.clear(),
  };
}

function aboutItself(version: string, log: EngineLog): UntypedServiceImplementation {
  return {
    attach: handle(async (request: InstanceType<typeof pluginProto.PluginAttach>) => {
      log.attach(request.getAddress());
      return new emptyProto.Empty();
    }),
    getPluginInfo: handle(async () => {
      const info = new pluginProto.PluginInfo();
      info.setVersion(version);
      return info;
    }),
  };
}
