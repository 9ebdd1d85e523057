import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, RetryableError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Secret } from '../secret.ts';
import type { LocalApi } from './local-api.ts';
import { isRunning, proxyCommand, type TailnetPlace } from './node.ts';
import { runTailscaled, type Tailscaled, type TailscaledOptions } from './tailscaled.ts';
import type { Surroundings } from './tailscaled-location.ts';

export interface OwnPlaceOptions extends TailscaledOptions {
  /** Asked before every start of the process. */
  surroundings(): Promise<Surroundings>;
  /** What the device is called; no other may be called so. */
  hostname: string;
  /** A key for one device of this name, tagged as a controller. Former devices of the name are of no use any more. */
  makeKey(hostname: string): Promise<Secret>;
  /** Whether the tailnet still knows the device that this is. A tailscaled whose device was removed may go on for long as if nothing had happened. */
  isKnown(deviceId: string): Promise<boolean>;
  /** Hears which device this place is, now and then. */
  tellDevice?(deviceId: string): void;
  /** It is for a while only: its device goes with it. */
  isTemporary: boolean;
  log: Log;
  /** How often it is looked after. */
  lookMs?: number;
  /** How often the tailnet is asked whether it knows the device. */
  askMs?: number;
}

const LOOK_MS = 2_000;
const ASK_MS = 60_000;
/** What tailscaled keeps of the device that it is. */
const STATE_FILE = 'tailscaled.state';
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const JOIN_TIMEOUT_MS = 30_000;

/**
 * A place of our own: keeps a tailscaled running and on the tailnet. One that ends is started again; one that has never joined, or whose device was
 * removed, is given a new key. Returns at once; what is dialled meanwhile waits for it.
 */
export async function openOwnPlace(options: OwnPlaceOptions): Promise<TailnetPlace> {
  const { tailscale } = await options.surroundings();
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
      stopping.abort(new RetryableError('The place on the tailnet is being given up'));
      await keeper.ended;
    },
  };
}

interface Keeper {
  /** The tailscaled that has joined; undefined while there is none. */
  current(): LocalApi | undefined;
  /** Waits for one. */
  joined(signal: AbortSignal): Promise<LocalApi>;
  ended: Promise<void>;
}

function keep(options: OwnPlaceOptions, signal: AbortSignal): Keeper {
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
const REMOVED = 'the device of this place was removed from the tailnet';

type SetCurrent = (api: LocalApi | undefined) => void;

async function keepRunning(options: OwnPlaceOptions, signal: AbortSignal, set: SetCurrent): Promise<void> {
  const { log } = options;
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    let tailscaled: Tailscaled | undefined;
    let removed = false;
    try {
      tailscaled = await runTailscaled(await options.surroundings(), options);
      await lookAfter(tailscaled, options, signal, (api) => {
        if (api !== undefined) pauseMs = FIRST_PAUSE_MS;
        set(api);
      });
    } catch (error) {
      removed = error instanceof DeviceRemovedError;
      if (!signal.aborted)
        log.warn(
          { event: 'tailnet.place', error: errorMessage(error) },
          'no place on the tailnet: trying again',
        );
    }
    set(undefined);
    await tailscaled?.stop();
    if (removed) rmSync(join(options.stateDir, STATE_FILE), { force: true });
    await sleep(pauseMs, undefined, { signal }).catch(() => {});
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Until it ends. @throws RetryableError with the reason */
async function lookAfter(
  { api, exited }: Tailscaled,
  options: OwnPlaceOptions,
  signal: AbortSignal,
  set: SetCurrent,
): Promise<void> {
  const ended = exited.then((said) => {
    throw new RetryableError(`tailscaled has ended: ${said}`);
  });
  ended.catch(() => {});
  for (let askAt = 0; ; ) {
    await Promise.race([ended, beOnTailnet(api, options, signal, () => set(undefined))]);
    if (Date.now() >= askAt) {
      await Promise.race([ended, refuseRemoved(api, options)]);
      askAt = Date.now() + (options.askMs ?? ASK_MS);
    }
    set(api);
    await Promise.race([ended, sleep(options.lookMs ?? LOOK_MS, undefined, { signal })]);
  }
}

/** @throws DeviceRemovedError where the tailnet says that it knows no such device; that it cannot be asked says nothing. */
async function refuseRemoved(api: LocalApi, { isKnown, tellDevice }: OwnPlaceOptions): Promise<void> {
  const { Self } = await api.status();
  if (Self?.ID) tellDevice?.(Self.ID);
  if (Self?.ID && !(await isKnown(Self.ID).catch(() => true))) throw new DeviceRemovedError(REMOVED);
}

/** Joins where that is needed, and waits until it has. */
async function beOnTailnet(
  api: LocalApi,
  { hostname, makeKey, surroundings, log }: OwnPlaceOptions,
  signal: AbortSignal,
  onAbsent: () => void,
): Promise<void> {
  const deadline = Date.now() + JOIN_TIMEOUT_MS;
  for (let keyed = false; ; await sleep(50, undefined, { signal })) {
    const { BackendState, HaveNodeKey } = await api.status();
    if (BackendState === 'Running') return;
    onAbsent();
    if (Date.now() > deadline) throw new RetryableError(`tailscaled stays ${BackendState}`);
    // A key would not do: with what it keeps of a device that is gone, tailscaled makes nothing of it.
    if (!keyed && BackendState === 'NeedsLogin' && HaveNodeKey === true)
      throw new DeviceRemovedError(REMOVED);
    if (!keyed && ['NeedsLogin', 'Stopped'].includes(BackendState)) {
      keyed = true;
      const { loginServer } = await surroundings();
      await api.join({ authKey: await makeKey(hostname), hostname, loginServer });
      log.info({ event: 'tailnet.joined', hostname }, 'joined the tailnet with a new key');
    }
  }
}
