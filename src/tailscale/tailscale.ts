import { z } from 'zod';
import type { TailscaleAccount } from '../config/accounts.ts';
import type { CallLimits, CallWatch } from '../http-client/exchange.ts';
import { HttpError, requestAs, requestJson } from '../http-client/request.ts';

const device = z.object({
  /** What names the device for good; the older numeric `id` is not used. */
  nodeId: z.string(),
  name: z.string(),
  hostname: z.string(),
  addresses: z.array(z.string()),
  tags: z.array(z.string()).optional(),
});
export type TailnetDevice = z.infer<typeof device>;

const key = z.object({
  id: z.string(),
  description: z.string().optional(),
  /** Whether it lets nobody in any more: used up, expired, revoked. */
  invalid: z.boolean().optional(),
});
export type TailnetKeyInfo = z.infer<typeof key>;

/** What the service itself asks Tailscale. @see https://tailscale.com/api */
export interface TailscaleClient {
  listDevices(): Promise<TailnetDevice[]>;
  /** Undefined where there is none of this node id (any more). */
  getDevice(nodeId: string): Promise<TailnetDevice | undefined>;
  hasDevice(nodeId: string): Promise<boolean>;
  /**
   * Gives a device a name that its machine cannot change; `label` without the tailnet's domain.
   * @throws NameTakenError
   */
  setDeviceName(nodeId: string, label: string): Promise<void>;
  /** What is gone already is fine. */
  deleteDevice(nodeId: string): Promise<void>;
  listKeys(): Promise<TailnetKeyInfo[]>;
  deleteKey(keyId: string): Promise<void>;
  /** Makes a key for one device, which needs no approval. @returns its secret, to be had only now. */
  createKey(key: NewTailnetKey): Promise<string>;
}

export interface NewTailnetKey {
  /** Letters, digits, hyphens and spaces, at most 50. */
  description: string;
  expirySeconds: number;
  tags: string[];
  /** Whether the device that joins with it vanishes some time after it is gone. */
  ephemeral: boolean;
}

/** `watch` hears of every call, those for access tokens included. */
export function createTailscaleClient(
  account: TailscaleAccount & CallLimits,
  watch?: CallWatch,
): TailscaleClient {
  const base = `${account.baseUrl.replace(/\/+$/, '')}/api/v2`;
  const tailnet = `${base}/tailnet/${encodeURIComponent(account.tailnet)}`;
  const authorize = createAuthorization(account, base, watch);
  const { timeoutSeconds } = account;
  const request = async (method: 'GET' | 'DELETE', url: string) => ({
    ...{ method, url, watch, timeoutSeconds },
    headers: { authorization: await authorize() },
  });
  const call = async (method: 'GET' | 'DELETE', url: string) => requestJson(await request(method, url));
  const deviceUrl = (nodeId: string) => `${base}/device/${encodeURIComponent(nodeId)}`;
  const getDevice = async (nodeId: string) => {
    try {
      return await requestAs(device, await request('GET', deviceUrl(nodeId)));
    } catch (error) {
      if (error instanceof HttpError && error.status === 404) return undefined;
      throw error;
    }
  };
  return {
    createKey: async ({ description, expirySeconds, tags, ephemeral }) => {
      const create = { reusable: false, ephemeral, preauthorized: true, tags };
      const answer = await requestAs(z.object({ key: z.string() }), {
        method: 'POST',
        url: `${tailnet}/keys`,
        headers: { authorization: await authorize(), 'content-type': 'application/json' },
        body: JSON.stringify({ description, expirySeconds, capabilities: { devices: { create } } }),
        watch,
        timeoutSeconds,
      });
      return answer.key;
    },
    listDevices: async () =>
      (await requestAs(z.object({ devices: z.array(device) }), await request('GET', `${tailnet}/devices`)))
        .devices,
    getDevice,
    hasDevice: async (nodeId) => (await getDevice(nodeId)) !== undefined,
    setDeviceName: async (nodeId, label) => {
      try {
        await requestJson({
          method: 'POST',
          url: `${deviceUrl(nodeId)}/name`,
          headers: { authorization: await authorize(), 'content-type': 'application/json' },
          body: JSON.stringify({ name: label }),
          watch,
          timeoutSeconds,
        });
      } catch (error) {
        throw isRefusedName(error) ? new NameTakenError(label, { cause: error }) : error;
      }
    },
    deleteDevice: (nodeId) => ignoreMissing(call('DELETE', deviceUrl(nodeId))),
    listKeys: async () =>
      (await requestAs(z.object({ keys: z.array(key) }), await request('GET', `${tailnet}/keys?all=true`)))
        .keys,
    deleteKey: (keyId) => ignoreMissing(call('DELETE', `${tailnet}/keys/${encodeURIComponent(keyId)}`)),
  };
}

/** The control server does not give a device this name: another has it. */
export class NameTakenError extends Error {
  override name = 'NameTakenError';

  constructor(label: string, options: ErrorOptions) {
    super(`The name ${label} cannot be given to a tailnet device`, options);
  }
}

/** We send well-formed labels alone, so what is refused for its content is refused for whose it is. */
function isRefusedName(error: unknown): boolean {
  return error instanceof HttpError && (error.status === 400 || error.status === 409);
}

async function ignoreMissing(answer: Promise<unknown>): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (!(error instanceof HttpError && error.status === 404)) throw error;
  }
}

const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number().default(3600) });
const RENEW_BEFORE_SECONDS = 60;

/** The header's value: the API key as it is, or an OAuth access token, asked for again before it runs out. */
function createAuthorization(
  { credential, timeoutSeconds }: TailscaleAccount & CallLimits,
  base: string,
  watch: CallWatch | undefined,
): () => Promise<string> {
  if (credential.kind === 'api-key') return async () => `Bearer ${credential.key.reveal()}`;
  let token: { text: string; until: number } | undefined;
  return async () => {
    if (token === undefined || Date.now() > token.until) {
      const body = new URLSearchParams({
        client_id: credential.clientId,
        client_secret: credential.clientSecret.reveal(),
      });
      const answer = await requestAs(tokenAnswer, {
        method: 'POST',
        url: `${base}/oauth/token`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: body.toString(),
        watch,
        timeoutSeconds,
      });
      token = {
        text: answer.access_token,
        until: Date.now() + (answer.expires_in - RENEW_BEFORE_SECONDS) * 1000,
      };
    }
    return `Bearer ${token.text}`;
  };
}
