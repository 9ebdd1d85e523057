import { z } from 'zod';
import type { TailscaleAccount } from '../../live-accounts.ts';
import type { CallLimits, CallWatch } from '../exchange.ts';
import { HttpError, requestAs, requestJson } from '../request.ts';

const device = z.object({
  id: z.string(),
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
  /** Whether there is a device of this id, or node id. */
  hasDevice(deviceId: string): Promise<boolean>;
  /** What is gone already is fine. */
  deleteDevice(deviceId: string): Promise<void>;
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
    hasDevice: async (deviceId) => {
      try {
        await call('GET', `${base}/device/${encodeURIComponent(deviceId)}`);
        return true;
      } catch (error) {
        if (error instanceof HttpError && error.status === 404) return false;
        throw error;
      }
    },
    deleteDevice: (deviceId) =>
      ignoreMissing(call('DELETE', `${base}/device/${encodeURIComponent(deviceId)}`)),
    listKeys: async () =>
      (await requestAs(z.object({ keys: z.array(key) }), await request('GET', `${tailnet}/keys?all=true`)))
        .keys,
    deleteKey: (keyId) => ignoreMissing(call('DELETE', `${tailnet}/keys/${encodeURIComponent(keyId)}`)),
  };
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
