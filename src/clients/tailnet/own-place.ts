import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, RetryableError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Secret } from '../../secret.ts';
import type { LocalApi } from './local-api.ts';
import { isRunning, proxyCommand, type TailnetPlace } from './place.ts';
import type { Surroundings } from './surroundings.ts';
import { runTailscaled, type Tailscaled, type TailscaledOptions } from './tailscaled.ts';

export interface OwnPlaceOptions extends TailscaledOptions {
  /** Asked before every start of the process. */
  surroundings(): Promise<Surroundings>;
  /** What the device is called; no other may be called so. */
  hostname: string;
  /** A key for one device of this name, tagged as a controller. Former devices of the name are of no use any more. */
  makeKey(hostname: string): Promise<Secret>;
  log: Log;
  /** How often it is looked after. */
  lookMs?: number;
}

const LOOK_MS = 2_000;
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

type SetCurrent = (api: LocalApi | undefined) => void;

async function keepRunning(options: OwnPlaceOptions, signal: AbortSignal, set: SetCurrent): Promise<void> {
  const { log } = options;
  let pauseMs = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    let tailscaled: Tailscaled | undefined;
    try {
      tailscaled = await runTailscaled(await options.surroundings(), options);
      await lookAfter(tailscaled, options, signal, (api) => {
        if (api !== undefined) pauseMs = FIRST_PAUSE_MS;
        set(api);
      });
    } catch (error) {
      if (!signal.aborted)
        log.warn(
          { event: 'tailnet.place', error: errorMessage(error) },
          'no place on the tailnet: trying again',
        );
    }
    set(undefined);
    await tailscaled?.stop();
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
  for (;;) {
    await Promise.race([ended, beOnTailnet(api, options, signal, () => set(undefined))]);
    set(api);
    await Promise.race([ended, sleep(options.lookMs ?? LOOK_MS, undefined, { signal })]);
  }
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
    const { BackendState } = await api.status();
    if (BackendState === 'Running') return;
    onAbsent();
    if (Date.now() > deadline) throw new RetryableError(`tailscaled stays ${BackendState}`);
    if (!keyed && ['NeedsLogin', 'Stopped'].includes(BackendState)) {
      keyed = true;
      const { loginServer } = await surroundings();
      await api.join({ authKey: await makeKey(hostname), hostname, loginServer });
      log.info({ event: 'tailnet.joined', hostname }, 'joined the tailnet with a new key');
    }
  }
}
