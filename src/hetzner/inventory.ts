import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallWatch } from '../http-client/exchange.ts';
import { requestJson } from '../http-client/request.ts';
import { action, beginToApply } from './actions.ts';
import {
  HETZNER,
  type HetznerAccount,
  type HetznerServer,
  itemsOf,
  type LabelledResource,
  labelled,
  nextPage,
  orMissing,
  selector,
  server,
} from './hetzner.ts';
import { hetznerError } from './refusals.ts';

/** A page of a list, in the order of ids. `nextPage` is null on the last one. */
export interface Page<T> {
  items: T[];
  nextPage: number | null;
}

/** What the sweep asks Hetzner: lists a page at a time, and removals that are waited for. @see https://docs.hetzner.cloud */
export interface HetznerInventory {
  /** Servers that carry all these labels, 50 a page. */
  serverPage(labels: Record<string, string>, page: number): Promise<Page<HetznerServer>>;
  sshKeyPage(labels: Record<string, string>, page: number): Promise<Page<LabelledResource>>;
  /** undefined where it is not there. */
  getServer(serverId: string): Promise<HetznerServer | undefined>;
  /** Deletes, and returns when the server is gone; one that is gone already is fine. @throws RetryableError where it stays. */
  removeServer(serverId: string): Promise<void>;
  removeSshKey(keyId: string): Promise<void>;
  /** Replaces a server's labels. */
  setLabels(serverId: string, labels: Record<string, string>): Promise<void>;
  /**
   * Puts a server under a firewall, and waits for nothing.
   * @returns false where Hetzner has no such firewall, or no such server.
   */
  applyFirewall(firewallId: number, serverId: string): Promise<boolean>;
}

/** A removal of a server makes at most this many calls. */
export const CALLS_PER_SERVER_REMOVAL = 9;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

const pagination = z.object({
  meta: z.object({ pagination: z.object({ next_page: z.number().nullable() }) }),
});

export function createHetznerInventory(account: HetznerAccount, watch?: CallWatch): HetznerInventory {
  const call = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, { body }: { body?: object } = {}) =>
    requestJson({
      method,
      url: `${account.endpoint}${path}`,
      headers: {
        authorization: `Bearer ${account.token.reveal()}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      watch,
      timeoutSeconds: account.timeoutSeconds,
    }).catch((error) => Promise.reject(hetznerError(error)));

  async function list<T>(path: string, item: z.ZodType<T>, labels: Record<string, string>, page: number) {
    const answer = await call('GET', `/${path}?${selector(labels)}&sort=id%3Aasc&per_page=50&page=${page}`);
    const { meta } = parseAnswer(pagination, answer, HETZNER);
    return { items: itemsOf(answer, path, item), nextPage: nextPage(meta.pagination.next_page, page) };
  }

  async function untilFinished(started: z.infer<typeof action>): Promise<void> {
    let now = started;
    for (let calls = 1; now.status === 'running'; calls += 1) {
      if (calls === CALLS_PER_SERVER_REMOVAL)
        throw new RetryableError(`Hetzner accepted the delete and is still at it (action ${now.id})`);
      await sleep(Math.min(FIRST_PAUSE_MS * 2 ** calls, LONGEST_PAUSE_MS));
      now = parseAnswer(z.object({ action }), await call('GET', `/actions/${now.id}`), HETZNER).action;
    }
    if (now.status === 'error')
      throw new RetryableError(
        `Hetzner's delete ended in an error: ${now.error?.message ?? 'no reason given'}`,
      );
  }

  return {
    serverPage: (labels, page) => list('servers', server, labels, page),
    sshKeyPage: (labels, page) => list('ssh_keys', labelled, labels, page),
    getServer: async (serverId) => {
      const answer = await orMissing(call('GET', `/servers/${serverId}`));
      return answer === undefined ? undefined : parseAnswer(z.object({ server }), answer, HETZNER).server;
    },
    removeServer: async (serverId) => {
      const answer = await orMissing(call('DELETE', `/servers/${serverId}`));
      if (answer !== undefined)
        await untilFinished(parseAnswer(z.object({ action }), answer, HETZNER).action);
    },
    removeSshKey: async (keyId) => void (await orMissing(call('DELETE', `/ssh_keys/${keyId}`))),
    setLabels: async (serverId, labels) =>
      void (await call('PUT', `/servers/${serverId}`, { body: { labels } })),
    applyFirewall: async (firewallId, serverId) =>
      (await beginToApply(call, { firewallId, serverId })) !== undefined,
  };
}
