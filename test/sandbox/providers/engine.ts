import statusProto from '@pulumi/pulumi/proto/status_pb.js';
import {
  emptyProto,
  fromStruct,
  grpc,
  type pluginProto,
  providerGrpc,
  providerProto,
  toStruct,
} from '../../../sandbox/providers/grpc.ts';
import type { Properties } from '../../../sandbox/providers/values.ts';

const signature = '4dabf18193072939515e22adb298388d';
const secretSignature = '1b47061264138c4ac30d75fd1eb44270';

export function secret(value: unknown): Properties {
  return { [signature]: secretSignature, value };
}

/** The value of a secret; undefined for anything else. */
export function revealSecret(value: unknown): unknown {
  const tagged = value as Properties | undefined;
  return tagged?.[signature] === secretSignature ? tagged.value : undefined;
}

const { Kind } = providerProto.PropertyDiff;
const kindNames = new Map(Object.entries(Kind).map(([name, value]) => [value, name]));

type Method = 'cancel' | 'getPluginInfo' | 'configure' | 'check' | 'diff' | 'create';
type Message<Name extends 'CheckResponse' | 'DiffResponse' | 'CreateResponse'> = InstanceType<
  (typeof providerProto)[Name]
>;

/** Connects to one builtin provider as Pulumi's engine does. `debugProviders`: `name:port,…`. */
export function connectEngine(debugProviders: string, name: string) {
  const port = new RegExp(`${name}:(\\d+)`).exec(debugProviders)![1];
  const client = new providerGrpc.ResourceProviderClient(
    `127.0.0.1:${port}`,
    grpc.credentials.createInsecure(),
    {
      // Its own connection, as the engine opens one for each provider instance.
      'grpc.use_local_subchannel_pool': 1,
    },
  );
  const urn = (type: string) => `urn:pulumi:agent-a1::agents::${type}::thing`;

  /** Calls a method of the service by its name, as a promise. */
  function call<Response>(method: Method, request: unknown): Promise<Response> {
    return new Promise((resolve, reject) => {
      const answer = (error: Error | null, response: Response) =>
        error ? reject(withInitialization(error)) : resolve(response);
      // The generated client has these methods, but its types do not index them by name.
      const methods = client as unknown as Record<Method, (sent: unknown, done: typeof answer) => void>;
      methods[method](request, answer);
    });
  }

  return {
    close: () => client.close(),
    cancel: () => call('cancel', new emptyProto.Empty()),
    async version() {
      return (
        await call<InstanceType<typeof pluginProto.PluginInfo>>('getPluginInfo', new emptyProto.Empty())
      ).getVersion();
    },
    configure(config: Properties = {}) {
      const request = new providerProto.ConfigureRequest();
      request.setArgs(toStruct(config));
      return call('configure', request);
    },
    async check(type: string, news: Properties) {
      const request = new providerProto.CheckRequest();
      request.setUrn(urn(type));
      request.setNews(toStruct(news));
      const response = await call<Message<'CheckResponse'>>('check', request);
      return { inputs: fromStruct(response.getInputs()), failures: response.getFailuresList() };
    },
    async diff(type: string, before: Properties, news: Properties, ignoreChanges: string[] = []) {
      const request = new providerProto.DiffRequest();
      request.setUrn(urn(type));
      request.setId('id');
      request.setOldInputs(toStruct(before));
      request.setOlds(toStruct(before));
      request.setNews(toStruct(news));
      request.setIgnorechangesList(ignoreChanges);
      const response = await call<Message<'DiffResponse'>>('diff', request);
      const isSame = response.getChanges() === providerProto.DiffResponse.DiffChanges.DIFF_NONE;
      return {
        changes: isSame ? 'none' : 'some',
        replaces: response.getReplacesList(),
        deleteBeforeReplace: response.getDeletebeforereplace(),
        detailed: Object.fromEntries(
          response
            .getDetaileddiffMap()
            .getEntryList()
            .map(([path]) => {
              return [path, kindNames.get(response.getDetaileddiffMap().get(path)!.getKind())];
            }),
        ),
      };
    },
    async create(
      type: string,
      inputs: Properties,
      options: { preview?: boolean; timeoutSeconds?: number } = {},
    ) {
      const request = new providerProto.CreateRequest();
      request.setUrn(urn(type));
      request.setProperties(toStruct(inputs));
      request.setPreview(options.preview ?? false);
      request.setTimeout(options.timeoutSeconds ?? 0);
      const response = await call<Message<'CreateResponse'>>('create', request);
      return { id: response.getId(), properties: fromStruct(response.getProperties()) };
    },
  };
}

/** Adds to the error the state of a resource that exists although its creation failed. */
function withInitialization(error: Error): Error {
  const [details] = (error as grpc.ServiceError).metadata?.get('grpc-status-details-bin') ?? [];
  if (!(details instanceof Buffer)) return error;
  const detail = statusProto.Status.deserializeBinary(details).getDetailsList()[0]!;
  const failed = providerProto.ErrorResourceInitFailed.deserializeBinary(detail.getValue_asU8());
  return Object.assign(error, {
    initialization: { id: failed.getId(), properties: fromStruct(failed.getProperties()) },
  });
}
