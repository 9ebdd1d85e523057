import { createHash, randomBytes } from 'node:crypto';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Cancellation } from './cancellation.ts';
import { createEngineLog } from './engine-log.ts';
import { InitializationFailed } from './failures.ts';
import { emptyProto, fromStruct, pluginProto, providerProto, toStruct } from './grpc.ts';
import { type Call, type Handler, handle } from './handler.ts';
import type { CallContext, ProviderPackage, Resource } from './resource.ts';
import { checkResponse, diffResponse } from './responses.ts';
import { type Unwrapped, unwrapSecrets, wrapSecrets } from './values.ts';

type Proto = typeof import('@pulumi/pulumi/proto/provider_pb.js');
type Instance<Name extends keyof Proto> = Proto[Name] extends new () => infer Message ? Message : never;
export interface ServiceDependencies {
  /** The environment of the operation that is under way. */
  environment(): Readonly<Record<string, string>>;
  cancellation: Cancellation;
}

/** Pulumi's ResourceProvider service for one package. What it does not name answers UNIMPLEMENTED. */
export function createProviderService<Client>(
  provider: ProviderPackage<Client>,
  { environment, cancellation }: ServiceDependencies,
): UntypedServiceImplementation {
  const log = createEngineLog();
  const clients = new Map<string, Client>();
  let latest: Client | undefined;

  const clientFor = (peer: string): Client => {
    const client = clients.get(peer) ?? latest;
    if (client === undefined) throw new Error(`the ${provider.name} provider was not configured`);
    return client;
  };
  const resourceFor = (type: string): Resource<Client> => {
    const resource = provider.resources[type];
    if (!resource)
      throw new Error(`the builtin ${provider.name} provider does not know ${type}; use PROVIDERS=official`);
    return resource;
  };
  const withTime = <Result>(
    { urn, timeoutSeconds }: { urn: string; timeoutSeconds: number },
    call: Call,
    work: (context: CallContext) => Promise<Result>,
  ): Promise<Result> =>
    cancellation.run(
      (signal) => work({ signal, name: nameOf(urn), showStatus: (line) => log.status(urn, line) }),
      call.gone,
      timeoutSeconds,
    );

  const configure: Handler<Instance<'ConfigureRequest'>, Instance<'ConfigureResponse'>> = async (
    request,
    call,
  ) => {
    const { plain } = unwrapSecrets(fromStruct(request.getArgs()));
    latest = provider.connect(environment(), plain);
    clients.set(call.peer, latest);
    const response = new providerProto.ConfigureResponse();
    response.setAcceptsecrets(true);
    response.setSupportspreview(true);
    return response;
  };

  const check: Handler<Instance<'CheckRequest'>, Instance<'CheckResponse'>> = async (request) => {
    const wire = fromStruct(request.getNews());
    const old = unwrapSecrets(fromStruct(request.getOlds())).plain;
    const context = { name: nameOf(request.getUrn()), suffix: suffixOf(request.getRandomseed_asU8()) };
    const result = resourceFor(typeOf(request.getUrn())).check(unwrapSecrets(wire).plain, old, context);
    return checkResponse(wire, result);
  };

  const diff: Handler<Instance<'DiffRequest'>, Instance<'DiffResponse'>> = async (request) => {
    const result = resourceFor(typeOf(request.getUrn())).diff(changeOf(request).input);
    return diffResponse(result, request.getIgnorechangesList());
  };

  const create: Handler<Instance<'CreateRequest'>, Instance<'CreateResponse'>> = async (request, call) => {
    const urn = request.getUrn();
    const resource = resourceFor(typeOf(urn));
    const { plain: inputs, secrets } = unwrapSecrets(fromStruct(request.getProperties()));
    const hidden = secretOutputs(resource, secrets);
    const response = new providerProto.CreateResponse();
    if (request.getPreview()) {
      response.setProperties(toStruct(wrapSecrets(resource.preview(inputs), hidden)));
      return response;
    }
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.create ?? 0);
    const created = await withTime({ urn, timeoutSeconds }, call, (context) =>
      resource.create(clientFor(call.peer), inputs, context).catch((error: unknown) => {
        throw error instanceof InitializationFailed ? hideSecrets(error, hidden) : error;
      }),
    );
    response.setId(created.id);
    response.setProperties(toStruct(wrapSecrets(created.state, hidden)));
    return response;
  };

  const read: Handler<Instance<'ReadRequest'>, Instance<'ReadResponse'>> = async (request, call) => {
    const urn = request.getUrn();
    const resource = resourceFor(typeOf(urn));
    const state = unwrapSecrets(fromStruct(request.getProperties()));
    const inputs = unwrapSecrets(fromStruct(request.getInputs()));
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.read ?? 0);
    const known = { state: state.plain, inputs: inputs.plain };
    const found = await withTime({ urn, timeoutSeconds }, call, (context) =>
      resource.read(clientFor(call.peer), request.getId(), known, context),
    );
    const response = new providerProto.ReadResponse();
    if (!found) return response;
    const hidden = secretOutputs(resource, new Set([...inputs.secrets, ...state.secrets]));
    response.setId(found.id);
    response.setProperties(toStruct(wrapSecrets(found.state, hidden)));
    response.setInputs(toStruct(wrapSecrets(found.inputs, inputs.secrets)));
    return response;
  };

  const update: Handler<Instance<'UpdateRequest'>, Instance<'UpdateResponse'>> = async (request, call) => {
    const urn = request.getUrn();
    const resource = resourceFor(typeOf(urn));
    const { input, secrets } = changeOf(request);
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.update ?? 0);
    const state = request.getPreview()
      ? resource.preview(input.inputs, input.state)
      : await withTime({ urn, timeoutSeconds }, call, (context) =>
          resource.update(clientFor(call.peer), request.getId(), input, context),
        );
    const response = new providerProto.UpdateResponse();
    response.setProperties(toStruct(wrapSecrets(state, secretOutputs(resource, secrets))));
    return response;
  };

  const remove: Handler<Instance<'DeleteRequest'>, InstanceType<typeof emptyProto.Empty>> = async (
    request,
    call,
  ) => {
    const urn = request.getUrn();
    const resource = resourceFor(typeOf(urn));
    const { plain } = unwrapSecrets(fromStruct(request.getProperties()));
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.delete ?? 0);
    await withTime({ urn, timeoutSeconds }, call, (context) =>
      resource.delete(clientFor(call.peer), request.getId(), plain, context),
    );
    return new emptyProto.Empty();
  };

  const invoke: Handler<Instance<'InvokeRequest'>, Instance<'InvokeResponse'>> = async (request, call) => {
    const work = provider.invokes[request.getTok()];
    if (!work) throw new Error(`the builtin ${provider.name} provider does not know ${request.getTok()}`);
    const { plain, secrets } = unwrapSecrets(fromStruct(request.getArgs()));
    const result = await withTime({ urn: '', timeoutSeconds: 0 }, call, (context) =>
      work(clientFor(call.peer), plain, context),
    );
    const response = new providerProto.InvokeResponse();
    response.setReturn(toStruct(wrapSecrets(result, new Set(secrets.size > 0 ? Object.keys(result) : []))));
    return response;
  };

  return {
    configure: handle(configure),
    check: handle(check),
    diff: handle(diff),
    create: handle(create),
    read: handle(read),
    update: handle(update),
    delete: handle(remove),
    invoke: handle(invoke),
    attach: handle(async (request: InstanceType<typeof pluginProto.PluginAttach>) => {
      log.attach(request.getAddress());
      return new emptyProto.Empty();
    }),
    getPluginInfo: handle(async () => {
      const info = new pluginProto.PluginInfo();
      info.setVersion(provider.version);
      return info;
    }),
    // The engine sends this when it is interrupted, and also at the end of every run: the service goes on.
    cancel: handle(async () => {
      await cancellation.cancel();
      log.detach();
      clients.clear();
      return new emptyProto.Empty();
    }),
  };
}

function changeOf(request: Instance<'DiffRequest'> | Instance<'UpdateRequest'>) {
  const { plain: inputs, secrets } = unwrapSecrets(fromStruct(request.getNews()));
  const oldInputs = unwrapSecrets(fromStruct(request.getOldInputs())).plain;
  const state = unwrapSecrets(fromStruct(request.getOlds())).plain;
  return { input: { oldInputs, state, inputs }, secrets };
}

function secretOutputs<Client>(
  resource: Resource<Client>,
  secrets: Unwrapped['secrets'],
): ReadonlySet<string> {
  return resource.secretOutputs?.(secrets) ?? secrets;
}

function hideSecrets(error: InitializationFailed, secrets: ReadonlySet<string>): InitializationFailed {
  return new InitializationFailed(error.id, wrapSecrets(error.state, secrets), error);
}

function typeOf(urn: string): string {
  return urn.split('::')[2]!.split('$').pop()!;
}

function nameOf(urn: string): string {
  return urn.split('::').slice(3).join('::');
}

/** Seven hex digits, the same for the same seed, so that a repeated plan finds the same name. */
function suffixOf(seed: Uint8Array): string {
  const digits =
    seed.length > 0 ? createHash('sha256').update(seed).digest('hex') : randomBytes(4).toString('hex');
  return digits.slice(0, 7);
}
