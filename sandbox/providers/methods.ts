import { createHash, randomBytes } from 'node:crypto';
import { InitializationFailed } from './failures.ts';
import { emptyProto, fromStruct, providerProto, toStruct } from './grpc.ts';
import type { Call, Handler } from './handler.ts';
import type { CallContext, Invoke, ProviderPackage, Resource } from './resource.ts';
import { checkResponse, diffResponse } from './responses.ts';
import { type Unwrapped, unwrapSecrets, wrapSecrets } from './values.ts';

type Proto = typeof import('@pulumi/pulumi/proto/provider_pb.js');
export type Instance<Name extends keyof Proto> = Proto[Name] extends new () => infer Message
  ? Message
  : never;

/** The dependencies of the methods of one package's service. */
export interface Serving<Client> {
  provider: ProviderPackage<Client>;
  /** The client of the provider instance that has this connection. */
  clientFor(peer: string): Client;
  /** Runs work that aborts when the caller disconnects, on a cancellation, or at the time limit. */
  withTime<Result>(
    limits: { urn: string; timeoutSeconds: number },
    call: Call,
    work: (context: CallContext) => Promise<Result>,
  ): Promise<Result>;
}

export function check<Client>(
  serving: Serving<Client>,
): Handler<Instance<'CheckRequest'>, Instance<'CheckResponse'>> {
  return async (request) => {
    const wire = fromStruct(request.getNews());
    const old = unwrapSecrets(fromStruct(request.getOlds())).plain;
    const context = { name: toName(request.getUrn()), suffix: toSuffix(request.getRandomseed_asU8()) };
    const result = getResource(serving.provider, toType(request.getUrn())).check(
      unwrapSecrets(wire).plain,
      old,
      context,
    );
    return checkResponse(wire, result);
  };
}

export function diff<Client>(
  serving: Serving<Client>,
): Handler<Instance<'DiffRequest'>, Instance<'DiffResponse'>> {
  return async (request) => {
    const result = getResource(serving.provider, toType(request.getUrn())).diff(toChange(request).input);
    return diffResponse(result, request.getIgnorechangesList());
  };
}

export function create<Client>(
  serving: Serving<Client>,
): Handler<Instance<'CreateRequest'>, Instance<'CreateResponse'>> {
  return async (request, call) => {
    const urn = request.getUrn();
    const resource = getResource(serving.provider, toType(urn));
    const { plain: inputs, secrets } = unwrapSecrets(fromStruct(request.getProperties()));
    const hidden = secretOutputs(resource, secrets);
    const response = new providerProto.CreateResponse();
    if (request.getPreview()) {
      response.setProperties(toStruct(wrapSecrets(resource.preview(inputs), hidden)));
      return response;
    }
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.create ?? 0);
    const created = await serving.withTime({ urn, timeoutSeconds }, call, (context) =>
      resource.create(serving.clientFor(call.peer), inputs, context).catch((error: unknown) => {
        throw error instanceof InitializationFailed ? hideSecrets(error, hidden) : error;
      }),
    );
    response.setId(created.id);
    response.setProperties(toStruct(wrapSecrets(created.state, hidden)));
    return response;
  };
}

export function read<Client>(
  serving: Serving<Client>,
): Handler<Instance<'ReadRequest'>, Instance<'ReadResponse'>> {
  return async (request, call) => {
    const urn = request.getUrn();
    const resource = getResource(serving.provider, toType(urn));
    const state = unwrapSecrets(fromStruct(request.getProperties()));
    const inputs = unwrapSecrets(fromStruct(request.getInputs()));
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.read ?? 0);
    const known = { state: state.plain, inputs: inputs.plain };
    const found = await serving.withTime({ urn, timeoutSeconds }, call, (context) =>
      resource.read(serving.clientFor(call.peer), request.getId(), known, context),
    );
    const response = new providerProto.ReadResponse();
    if (!found) return response;
    const hidden = secretOutputs(resource, new Set([...inputs.secrets, ...state.secrets]));
    response.setId(found.id);
    response.setProperties(toStruct(wrapSecrets(found.state, hidden)));
    response.setInputs(toStruct(wrapSecrets(found.inputs, inputs.secrets)));
    return response;
  };
}

export function update<Client>(
  serving: Serving<Client>,
): Handler<Instance<'UpdateRequest'>, Instance<'UpdateResponse'>> {
  return async (request, call) => {
    const urn = request.getUrn();
    const resource = getResource(serving.provider, toType(urn));
    const { input, secrets } = toChange(request);
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.update ?? 0);
    const state = request.getPreview()
      ? resource.preview(input.inputs, input.state)
      : await serving.withTime({ urn, timeoutSeconds }, call, (context) =>
          resource.update(serving.clientFor(call.peer), request.getId(), input, context),
        );
    const response = new providerProto.UpdateResponse();
    response.setProperties(toStruct(wrapSecrets(state, secretOutputs(resource, secrets))));
    return response;
  };
}

export function remove<Client>(
  serving: Serving<Client>,
): Handler<Instance<'DeleteRequest'>, InstanceType<typeof emptyProto.Empty>> {
  return async (request, call) => {
    const urn = request.getUrn();
    const resource = getResource(serving.provider, toType(urn));
    const { plain } = unwrapSecrets(fromStruct(request.getProperties()));
    const timeoutSeconds = request.getTimeout() || (resource.defaultTimeoutSeconds?.delete ?? 0);
    await serving.withTime({ urn, timeoutSeconds }, call, (context) =>
      resource.delete(serving.clientFor(call.peer), request.getId(), plain, context),
    );
    return new emptyProto.Empty();
  };
}

export function invoke<Client>(
  serving: Serving<Client>,
): Handler<Instance<'InvokeRequest'>, Instance<'InvokeResponse'>> {
  return async (request, call) => {
    const work = getInvoke(serving.provider, request.getTok());
    const { plain, secrets } = unwrapSecrets(fromStruct(request.getArgs()));
    const result = await serving.withTime({ urn: '', timeoutSeconds: 0 }, call, (context) =>
      work(serving.clientFor(call.peer), plain, context),
    );
    const response = new providerProto.InvokeResponse();
    response.setReturn(toStruct(wrapSecrets(result, new Set(secrets.size > 0 ? Object.keys(result) : []))));
    return response;
  };
}

function toChange(request: Instance<'DiffRequest'> | Instance<'UpdateRequest'>) {
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

function toType(urn: string): string {
  return urn.split('::')[2]!.split('$').pop()!;
}

export function toName(urn: string): string {
  return urn.split('::').slice(3).join('::');
}

/** Returns seven hex digits, the same for the same seed, so that a repeated plan finds the same name. */
function toSuffix(seed: Uint8Array): string {
  const digits =
    seed.length > 0 ? createHash('sha256').update(seed).digest('hex') : randomBytes(4).toString('hex');
  return digits.slice(0, 7);
}

function getResource<Client>(provider: ProviderPackage<Client>, type: string): Resource<Client> {
  return provider.resources[type] ?? unknownToken(provider.name, type);
}

function getInvoke<Client>(provider: ProviderPackage<Client>, token: string): Invoke<Client> {
  return provider.invokes[token] ?? unknownToken(provider.name, token);
}

function unknownToken(name: string, token: string): never {
  throw new Error(`the builtin ${name} provider does not know ${token}; use PROVIDERS=official`);
}
