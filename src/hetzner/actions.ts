import { z } from 'zod';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import { HttpError } from '../http-client/request.ts';
import { type Polling, poll } from '../processes/poll.ts';
import { type Call, HETZNER } from './calls.ts';
import { ActionFailedError, afterBegun, LockedError } from './refusals.ts';

/**
 * The actions on an existing server. Each call returns once Hetzner reports that its action has succeeded.
 */
export interface ServerActions {
  powerOn(serverId: string, signal: AbortSignal): Promise<void>;
  /** Requests a shutdown, and returns once it is requested: the server's status shows whether it happened. */
  shutDown(serverId: string, signal: AbortSignal): Promise<void>;
  /** Cuts the power. */
  powerOff(serverId: string, signal: AbortSignal): Promise<void>;
  /**
   * Reinstalls the disk and boots it with this user data; keeps name, id and addresses. The old disk is lost.
   */
  rebuild(serverId: string, system: { image: string; userData: string }, signal: AbortSignal): Promise<void>;
  /**
   * Applies a firewall to a server.
   * @returns false if Hetzner has no such firewall or no such server.
   */
  applyFirewall(firewallId: number, serverId: string, options: Waiting): Promise<boolean>;
  /** Takes a firewall off a server; one that it is not under, or that is gone, is fine. */
  removeFirewall(firewallId: number, serverId: string, signal: AbortSignal): Promise<void>;
}

export type Waiting = { wait: false } | { wait: true; signal: AbortSignal };

const actionSchema = z.object({
  id: z.number(),
  status: z.enum(['running', 'success', 'error']),
  error: z.object({ code: z.string(), message: z.string() }).nullable().optional(),
});
export type Action = z.infer<typeof actionSchema>;

const started = z.object({ action: actionSchema });
export const toAction = (answer: unknown): Action => parseAnswer(started, answer, HETZNER).action;

/** The quota refills once a second: the longer an action takes, the less often it is polled. */
const PAUSES = { intervalMs: 100, longestIntervalMs: 2_000 };
const ACTION_SECONDS = 300;
/** A server is locked while another action on it runs, e.g. one that a killed attempt started. */
const LOCKED_SECONDS = 60;

/** Creates the actions on servers. @see https://docs.hetzner.cloud/reference/cloud#server-actions */
export function createServerActions(call: Call): ServerActions {
  const act = async (serverId: string, name: string, signal: AbortSignal, body?: object): Promise<void> => {
    const path = `/servers/${serverId}/actions/${name}`;
    const begun = await unlessLocked(() => call('POST', path, { ...(body && { body }), signal }), signal);
    await untilFinished(call, { name, action: toAction(begun) }, signal);
  };
  return {
    powerOn: (serverId, signal) => act(serverId, 'poweron', signal),
    shutDown: (serverId, signal) => act(serverId, 'shutdown', signal),
    powerOff: (serverId, signal) => act(serverId, 'poweroff', signal),
    rebuild: (serverId, { image, userData }, signal) =>
      act(serverId, 'rebuild', signal, { image, user_data: userData }),
    applyFirewall: async (firewallId, serverId, waiting) => {
      const signal = waiting.wait ? waiting.signal : undefined;
      const begun = await beginToApply(call, { firewallId, serverId }, signal);
      if (waiting.wait)
        for (const each of begun ?? [])
          await untilFinished(call, { name: 'firewall', action: each }, waiting.signal);
      return begun !== undefined;
    },
    removeFirewall: async (firewallId, serverId, signal) => {
      for (const each of await beginToRemove(call, { firewallId, serverId }, signal))
        await untilFinished(call, { name: 'firewall', action: each }, signal);
    },
  };
}

const toTarget = (serverId: string) => [{ type: 'server', server: { id: Number(serverId) } }];
const begunActions = z.object({ actions: z.array(actionSchema) });

async function beginToRemove(
  call: Call,
  { firewallId, serverId }: { firewallId: number; serverId: string },
  signal: AbortSignal,
): Promise<Action[]> {
  const body = { remove_from: toTarget(serverId) };
  try {
    const answer = await call('POST', `/firewalls/${firewallId}/actions/remove_from_resources`, {
      body,
      signal,
    });
    return parseAnswer(begunActions, answer, HETZNER).actions;
  } catch (error) {
    const isDone =
      error instanceof HttpError && (error.code === 'firewall_already_removed' || error.status === 404);
    if (!isDone) throw error;
    return [];
  }
}

/**
 * @returns the started actions, empty if the firewall is already applied; undefined if Hetzner has no such
 * firewall or server.
 */
async function beginToApply(
  call: Call,
  { firewallId, serverId }: { firewallId: number; serverId: string },
  signal?: AbortSignal,
): Promise<Action[] | undefined> {
  const body = { apply_to: toTarget(serverId) };
  const path = `/firewalls/${firewallId}/actions/apply_to_resources`;
  try {
    const answer = await call('POST', path, { body, signal });
    return parseAnswer(begunActions, answer, HETZNER).actions;
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    if (error.code === 'firewall_already_applied') return [];
    if (error.status === 404) return undefined;
    throw error;
  }
}

/** @throws LockedError if it stays locked */
export async function unlessLocked<T>(begin: () => Promise<T>, signal: AbortSignal): Promise<T> {
  let locked: LockedError | undefined;
  const attempt = async () => {
    try {
      return { answer: await begin() };
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      locked = error;
      return undefined;
    }
  };
  const begun = await poll(attempt, { ...PAUSES, timeoutMs: LOCKED_SECONDS * 1000, signal });
  if (begun === undefined) throw locked;
  return begun.answer;
}

/** @throws RetryableError if the action ends in an error, or does not end within `seconds`. */
export async function untilFinished(
  call: Call,
  { name, action, seconds = ACTION_SECONDS, pauses = PAUSES }: FollowedAction,
  signal: AbortSignal,
): Promise<void> {
  const ended = await followAction(call, action, { ...pauses, timeoutMs: seconds * 1000, signal });
  if (ended === undefined)
    throw new RetryableError(`Hetzner's ${name} (action ${action.id}) took more than ${seconds} s`);
  if (ended.status === 'error')
    throw new ActionFailedError(`Hetzner's ${name} ended in an error: ${failureReason(ended)}`);
}

interface FollowedAction {
  name: string;
  action: Action;
  seconds?: number;
  pauses?: Pick<Polling, 'intervalMs' | 'longestIntervalMs'>;
}

export const failureReason = ({ error }: Action): string => error?.message ?? 'no reason given';

/** Returns the action once it has ended; undefined if it does not end in time. */
export function followAction(call: Call, begun: Action, polling: Polling): Promise<Action | undefined> {
  const read = async () => {
    const answer = await call('GET', `/actions/${begun.id}`, { signal: polling.signal }).catch(
      (error: unknown) => {
        throw afterBegun(error);
      },
    );
    return toAction(answer);
  };
  let known: Action | undefined = begun;
  return poll(async () => {
    const now: Action = known ?? (await read());
    known = undefined;
    return now.status === 'running' ? undefined : now;
  }, polling);
}
