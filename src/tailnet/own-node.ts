import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, RetryableError } from '../errors.ts';
import type { Log } from '../log.ts';
import { poll } from '../processes/poll.ts';
import type { Secret } from '../secret.ts';
import type { LocalApi } from './local-api.ts';
import { isRunning, proxyCommand, type TailnetNode } from './node.ts';
import { runTailscaled, type Tailscaled, type TailscaledOptions } from './tailscaled.ts';
import type { TailscaledLocation } from './tailscaled-location.ts';

export interface OwnNodeOptions extends TailscaledOptions {
  /** Called before each start of tailscaled. */
  locate(): Promise<TailscaledLocation>;
  /** The device's name; no other device may have it. */
  hostname: string;
  /** Creates a key for one device with this name, tagged as a controller. */
  makeKey(hostname: string): Promise<Secret>;
  /** Whether the tailnet still knows this device. tailscaled itself may notice a removal only much later. */
  isKnown(deviceId: string): Promise<boolean>;
  /** Called repeatedly with the id of this node's device. */
  tellDevice?(deviceId: string): void;
  /** Whether the device is removed when the node stops. */
  isTemporary: boolean;
  log: Log;
  /** How often its state is checked. */
  checkMs?: number;
  /** How often `isKnown` is called. */
  knownMs?: number;
}

const CHECK_MS = 2_000;
const KNOWN_MS = 60_000;
/** Where tailscaled keeps the identity of its device. */
const STATE_FILE = 'tailscaled.state';
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const JOIN_TIMEOUT_MS = 30_000;

/**
 * Keeps our own tailscaled running and on the tailnet. Restarts it when it exits, and gives it a new key if
 * it has never joined or its device was removed. Returns immediately; dials wait until the node is up.
 */
export async function openOwnNode(options: OwnNodeOptions): Promise<TailnetNode> {
  const { tailscale } = await options.locate();
  const stopping = new AbortController();
  const keeper = keep(options, stopping.signal);
  return {
    dial: async (address, port, signal) => (await keeper.joined(signal)).dial(address, port, signal),
    isUp: async () => {
      const api = keeper.current();
      return api !== undefined && (await isRunning(api));
    },
    proxyCommand: proxyCommand(tailscale, options.socket),
    stop: async () => {
      if (options.isTemporary)
        await keeper
          .current()
          ?.leave()
          .catch(() => {});
      stopping.abort(new RetryableError('The tailnet node is stopping'));
      await keeper.ended;
    },
  };
}

interface Keeper {
  /** The tailscaled while it is on the tailnet, else undefined. */
  current(): LocalApi | undefined;
  /** Waits until it is on the tailnet. */
  joined(signal: AbortSignal): Promise<LocalApi>;
  ended: Promise<void>;
}

function keep(options: OwnNodeOptions, signal: AbortSignal): Keeper {
  let current: LocalApi | undefined;
  let waiting: (() => void)[] = [];
  const set = (api: LocalApi | undefined) => {
    current = api;
    if (api === undefined) return;
    for (const wake of waiting) wake();
    waiting = [];
  };
  return {
    current: () => current,
    joined: async (callerSignal) => {
      const either = AbortSignal.any([callerSignal, signal]);
      while (current === undefined) {
        either.throwIfAborted();
        await new Promise<void>((resolve, reject) => {
          waiting.push(resolve);
          either.addEventListener('abort', () => reject(either.reason), { once: true });
        });
      }
      return current;
    },
    ended: keepRunning(options, signal, set),
  };
}

class DeviceRemovedError extends RetryableError {}
const REMOVED = 'the device of this node was removed from the tailnet';

type SetCurrent = (api: LocalApi | undefined) => void;

async function keepRunning(options: OwnNodeOptions, signal: AbortSignal, set: SetCurrent): Promise<void> {
  const { log } = options;
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    let tailscaled: Tailscaled | undefined;
    let removed = false;
    try {
      tailscaled = await runTailscaled(await options.locate(), options);
      await keepJoined(tailscaled, options, signal, (api) => {
        if (api !== undefined) pauseMs = FIRST_PAUSE_MS;
        set(api);
      });
    } catch (error) {
      removed = error instanceof DeviceRemovedError;
      if (!signal.aborted)
        log.warn(
          { event: 'tailnet.join_failed', error: errorMessage(error) },
          'this process is not on the tailnet: trying again',
        );
    }
    set(undefined);
    await tailscaled?.stop();
    if (removed) rmSync(join(options.stateDir, STATE_FILE), { force: true });
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Keeps it on the tailnet until it ends. @throws RetryableError with the reason */
async function keepJoined(
  { api, exited }: Tailscaled,
  options: OwnNodeOptions,
  signal: AbortSignal,
  set: SetCurrent,
): Promise<void> {
  const ended = exited.then((said) => {
    throw new RetryableError(`tailscaled has ended: ${said}`);
  });
  ended.catch(() => {});
  for (let knownAt = 0; ; ) {
    await Promise.race([ended, ensureJoined(api, options, signal, () => set(undefined))]);
    if (Date.now() >= knownAt) {
      await Promise.race([ended, refuseRemoved(api, options)]);
      knownAt = Date.now() + (options.knownMs ?? KNOWN_MS);
    }
    set(api);
    await Promise.race([ended, sleep(options.checkMs ?? CHECK_MS, undefined, { signal })]);
  }
}

/** @throws DeviceRemovedError if the tailnet does not know the device; a missing answer proves nothing. */
async function refuseRemoved(api: LocalApi, { isKnown, tellDevice }: OwnNodeOptions): Promise<void> {
  const { Self } = await api.status();
  if (Self?.ID) tellDevice?.(Self.ID);
  if (Self?.ID && !(await isKnown(Self.ID).catch(() => true))) throw new DeviceRemovedError(REMOVED);
}

/** Joins if necessary, and waits until tailscaled is on the tailnet. */
async function ensureJoined(
  api: LocalApi,
  { hostname, makeKey, locate, log }: OwnNodeOptions,
  signal: AbortSignal,
  onAbsent: () => void,
): Promise<void> {
  let state = '';
  let hasKey = false;
  const ask = async () => {
    const { BackendState, HaveNodeKey } = await api.status();
    state = BackendState;
    if (state === 'Running') return true;
    onAbsent();
    if (hasKey || !['NeedsLogin', 'Stopped'].includes(state)) return undefined;
    // A new key would not help: tailscaled ignores it while it keeps the state of a removed device.
    if (state === 'NeedsLogin' && HaveNodeKey === true) throw new DeviceRemovedError(REMOVED);
    hasKey = true;
    const { loginServer } = await locate();
    await api.join({ authKey: await makeKey(hostname), hostname, loginServer });
    log.info({ event: 'tailnet.joined', hostname }, 'joined the tailnet with a new key');
    return undefined;
  };
  const isUp = await poll(ask, { intervalMs: 50, timeoutMs: JOIN_TIMEOUT_MS, signal });
  if (isUp === undefined) throw new RetryableError(`tailscaled stays ${state}`);
}
