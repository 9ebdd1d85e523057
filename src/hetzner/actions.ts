import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import { HttpError } from '../http-client/request.ts';
import { ActionFailedError, afterBegun, LockedError } from './refusals.ts';

/** What can be done to a server that exists. Each call returns when Hetzner says that its action has succeeded. */
export interface ServerActions {
  powerOn(serverId: string, signal: AbortSignal): Promise<void>;
  /** Asks the system to shut down, and returns when it has been asked: the server's status says whether it has obeyed. */
  shutDown(serverId: string, signal: AbortSignal): Promise<void>;
  /** Cuts the power. */
  powerOff(serverId: string, signal: AbortSignal): Promise<void>;
  /** Installs the disk anew and boots it with this user data; name, id and addresses stay. Everything on the disk is lost. */
  rebuild(serverId: string, system: { image: string; userData: string }, signal: AbortSignal): Promise<void>;
  /** Puts a server under a firewall. @returns false where Hetzner has no such firewall, or no such server. */
  applyFirewall(firewallId: number, serverId: string, signal: AbortSignal): Promise<boolean>;
}

export const action = z.object({
  id: z.number(),
  status: z.enum(['running', 'success', 'error']),
  error: z.object({ code: z.string(), message: z.string() }).nullable().optional(),
});

const started = z.object({ action });
/** The quota is refilled once a second: an action is looked at less often, the longer it takes. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const ACTION_SECONDS = 300;
/** A server is locked while another action on it runs, e.g. the one of an attempt that was killed. */
const LOCKED_SECONDS = 60;

export type Call = (
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  options?: { body?: object; signal?: AbortSignal },
) => Promise<unknown>;

/** `call` asks Hetzner's API; its errors are ours. @see https://docs.hetzner.cloud/reference/cloud#server-actions */
export function createServerActions(call: Call): ServerActions {
  const act = async (serverId: string, name: string, signal: AbortSignal, body?: object): Promise<void> => {
    const path = `/servers/${serverId}/actions/${name}`;
    const begun = await unlessLocked(() => call('POST', path, { ...(body && { body }), signal }), signal);
    await untilFinished(call, { name, action: parseAnswer(started, begun, 'Hetzner').action }, signal);
  };
  return {
    powerOn: (serverId, signal) => act(serverId, 'poweron', signal),
    shutDown: (serverId, signal) => act(serverId, 'shutdown', signal),
    powerOff: (serverId, signal) => act(serverId, 'poweroff', signal),
    rebuild: (serverId, { image, userData }, signal) =>
      act(serverId, 'rebuild', signal, { image, user_data: userData }),
    applyFirewall: async (firewallId, serverId, signal) => {
      const begun = await beginToApply(call, { firewallId, serverId }, signal);
      for (const each of begun ?? []) await untilFinished(call, { name: 'firewall', action: each }, signal);
      return begun !== undefined;
    },
  };
}

/**
 * @returns the actions that it takes, none where the firewall is applied already; undefined where there is no
 * such firewall or server.
 */
export async function beginToApply(
  call: Call,
  { firewallId, serverId }: { firewallId: number; serverId: string },
  signal?: AbortSignal,
): Promise<z.infer<typeof action>[] | undefined> {
  const body = { apply_to: [{ type: 'server', server: { id: Number(serverId) } }] };
  const path = `/firewalls/${firewallId}/actions/apply_to_resources`;
  try {
    const answer = await call('POST', path, { body, ...(signal && { signal }) });
    return parseAnswer(z.object({ actions: z.array(action) }), answer, 'Hetzner').actions;
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    if (error.code === 'firewall_already_applied') return [];
    if (error.status === 404) return undefined;
    throw error;
  }
}

async function unlessLocked<T>(begin: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = Date.now() + LOCKED_SECONDS * 1000;
  for (const pause of pauses()) {
    try {
      return await begin();
    } catch (error) {
      if (!(error instanceof LockedError) || Date.now() > deadline) throw error;
    }
    await sleep(pause, undefined, { signal });
  }
  throw new Error('Pauses never end');
}

/** @throws RetryableError where the action ends in an error, or does not end. */
async function untilFinished(
  call: Call,
  { name, action: begun }: { name: string; action: z.infer<typeof action> },
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + ACTION_SECONDS * 1000;
  let now = begun;
  for (const pause of pauses()) {
    if (now.status === 'success') return;
    if (now.status === 'error')
      throw new ActionFailedError(
        `Hetzner's ${name} ended in an error: ${now.error?.message ?? 'no reason given'}`,
      );
    if (Date.now() > deadline)
      throw new RetryableError(`Hetzner's ${name} (action ${now.id}) took more than ${ACTION_SECONDS} s`);
    await sleep(pause, undefined, { signal });
    const answer = await call('GET', `/actions/${now.id}`, { signal }).catch((error: unknown) => {
      throw afterBegun(error);
    });
    now = parseAnswer(started, answer, 'Hetzner').action;
  }
}

function* pauses(): Generator<number> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) yield pause;
}
