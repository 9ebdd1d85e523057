import { z } from 'zod';
import type { TailscaleAccount } from '../config/accounts.ts';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallLimits, CallWatch } from '../http-client/exchange.ts';
import { HttpError, requestAs, requestJson } from '../http-client/request.ts';

const device = z.object({
  /** The device's permanent id; the older numeric `id` is not used. */
  nodeId: z.string(),
  name: z.string(),
  hostname: z.string(),
  addresses: z.array(z.string()),
  tags: z.array(z.string()).optional(),
  /** When the device must sign in again, unless that is disabled, as it is for tagged devices at first. */
  expires: z.string().optional(),
  keyExpiryDisabled: z.boolean().optional(),
});
export type TailnetDevice = z.infer<typeof device>;

const key = z.object({
  id: z.string(),
  description: z.string().optional(),
  /** Whether the key is used up, expired or revoked. */
  invalid: z.boolean().optional(),
});
export type TailnetKeyInfo = z.infer<typeof key>;

/** The service's own calls to Tailscale. @see https://tailscale.com/api */
export interface TailscaleClient {
  listDevices(): Promise<TailnetDevice[]>;
  /** Returns undefined if no device has this node id. */
  getDevice(nodeId: string): Promise<TailnetDevice | undefined>;
  hasDevice(nodeId: string): Promise<boolean>;
  /**
   * Gives a device a name that its machine cannot change; `label` without the tailnet's domain.
   * @throws NameTakenError
   */
  setDeviceName(nodeId: string, label: string): Promise<void>;
  /** Deletes a device; a missing one is fine. */
  deleteDevice(nodeId: string): Promise<void>;
  /** @throws UnknownTailnetError */
  listKeys(): Promise<TailnetKeyInfo[]>;
  deleteKey(keyId: string): Promise<void>;
  /** Creates a key for one device, which needs no approval. @returns its secret, which is shown only once. */
  createKey(key: NewTailnetKey): Promise<string>;
}

export interface NewTailnetKey {
  /** Letters, digits, hyphens and spaces, at most 50. */
  description: string;
  expirySeconds: number;
  tags: string[];
  /** Whether the device that joins with it is removed some time after it goes offline. */
  ephemeral: boolean;
}

/** `watch` observes every call, including those for access tokens. */
export function createTailscaleClient(
  account: TailscaleAccount & CallLimits,
  watch?: CallWatch,
): TailscaleClient {
  const base = `${account.baseUrl.replace(/\/+$/, '')}/api/v2`;
  const tailnet = `${base}/tailnet/${encodeURIComponent(account.tailnet)}`;
  const { get, post, remove } = createCalls(account, base, watch);
  const deviceUrl = (nodeId: string) => `${base}/device/${encodeURIComponent(nodeId)}`;
  const getDevice = (nodeId: string) => orMissing(get(device, deviceUrl(nodeId)));
  return {
    createKey: async ({ description, expirySeconds, tags, ephemeral }) => {
      const create = { reusable: false, ephemeral, preauthorized: true, tags };
      const body = { description, expirySeconds, capabilities: { devices: { create } } };
      return parseAnswer(newKey, await post(`${tailnet}/keys`, body), new URL(base).host).key;
    },
    listDevices: async () =>
      (await get(z.object({ devices: z.array(device) }), `${tailnet}/devices`)).devices,
    getDevice,
    hasDevice: async (nodeId) => (await getDevice(nodeId)) !== undefined,
    setDeviceName: async (nodeId, label) => {
      try {
        await post(`${deviceUrl(nodeId)}/name`, { name: label });
      } catch (error) {
        throw isRefusedName(error) ? new NameTakenError(label, { cause: error }) : error;
      }
    },
    deleteDevice: async (nodeId) => void (await orMissing(remove(deviceUrl(nodeId)))),
    listKeys: async () => {
      const url = `${tailnet}/keys?all=true`;
      return (await get(z.object({ keys: z.array(key) }), url).catch(tailnetError)).keys;
    },
    deleteKey: async (keyId) =>
      void (await orMissing(remove(`${tailnet}/keys/${encodeURIComponent(keyId)}`))),
  };
}

const newKey = z.object({ key: z.string() });

/** Creates functions that call the API with the account's credential. */
function createCalls(account: TailscaleAccount & CallLimits, base: string, watch: CallWatch | undefined) {
  const authorize = createAuthorization(account, base, watch);
  const { timeoutSeconds } = account;
  const request = async (method: 'GET' | 'DELETE', url: string) => ({
    ...{ vendor: 'tailscale' as const, method, url, watch, timeoutSeconds },
    headers: { authorization: await authorize() },
  });
  return {
    get: async <T>(schema: z.ZodType<T>, url: string) => requestAs(schema, await request('GET', url)),
    remove: async (url: string) => requestJson(await request('DELETE', url)),
    post: async (url: string, body: object) =>
      requestJson({
        vendor: 'tailscale',
        method: 'POST',
        url,
        headers: { authorization: await authorize(), 'content-type': 'application/json' },
        body: JSON.stringify(body),
        watch,
        timeoutSeconds,
      }),
  };
}

/** The credential is accepted, but the account's tailnet does not exist. */
export class UnknownTailnetError extends RetryableError {
  override name = 'UnknownTailnetError';
}

function tailnetError(error: unknown): never {
  if (!(error instanceof HttpError && [400, 404].includes(error.status))) throw error;
  throw new UnknownTailnetError(error.message, { cause: error });
}

/** The control server refuses this name for a device, because another device has it. */
export class NameTakenError extends Error {
  override name = 'NameTakenError';

  constructor(label: string, options: ErrorOptions) {
    super(`The name ${label} cannot be given to a tailnet device`, options);
  }
}

/** We send only well-formed labels, so a refusal of the content means that another device has the name. */
function isRefusedName(error: unknown): boolean {
  return error instanceof HttpError && (error.status === 400 || error.status === 409);
}

/** Returns undefined on a 404. */
async function orMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) return undefined;
    throw error;
  }
}

const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number().default(3600) });
const RENEW_BEFORE_SECONDS = 60;

/**
 * Returns the header's value: the API key itself, or an OAuth access token, renewed before it expires. The
 * account's credential may be replaced meanwhile.
 */
export function createAuthorization(
  account: TailscaleAccount & CallLimits,
  base: string,
  watch: CallWatch | undefined,
): () => Promise<string> {
  let token: { text: string; until: number; of: TailscaleAccount['credential'] } | undefined;
  return async () => {
    const { credential, timeoutSeconds } = account;
    if (credential.kind === 'api-key') return `Bearer ${credential.key.reveal()}`;
    if (token === undefined || token.of !== credential || Date.now() > token.until) {
      const body = new URLSearchParams({
        client_id: credential.clientId,
        client_secret: credential.clientSecret.reveal(),
      });
      const answer = await requestAs(tokenAnswer, {
        vendor: 'tailscale',
        method: 'POST',
        url: `${base}/oauth/token`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: body.toString(),
        watch,
        timeoutSeconds,
      });
      token = {
        of: credential,
        text: answer.access_token,
        until: Date.now() + (answer.expires_in - RENEW_BEFORE_SECONDS) * 1000,
      };
    }
    return `Bearer ${token.text}`;
  };
}
