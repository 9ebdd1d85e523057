import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log.ts';

/**
 * `ansible/configure serve`: a process that has Ansible loaded, in whose copies the configurations of this
 * process's agents run. A copy belongs to its run, as Ansible does otherwise: it ends with it.
 */
export interface PreparedAnsible {
  /** The variables that name it to a run; none while it is not ready. That run then loads Ansible itself. */
  environment(): Record<string, string>;
  /** Ends it. Runs that still use it are stopped. */
  stop(): Promise<void>;
}

export interface PreparedAnsibleOptions {
  /** Path of ansible/configure. */
  path: string;
  ansibleBin: string | undefined;
  environment: Record<string, string>;
  processTags: Record<string, string>;
  log: Log;
  /** Pause before the first restart; it doubles while the process ends before it is ready. */
  pauseMs?: number;
}

const PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 600_000;
const END_MS = 2_000;

/** Starts the process, and again whenever it has ended: it ends by itself when its files have changed. */
export function prepareAnsible(options: PreparedAnsibleOptions): PreparedAnsible {
  const stopping = new AbortController();
  let socket: string | undefined;
  let current: ChildProcess | undefined;
  const keeping = (async () => {
    let pause = options.pauseMs ?? PAUSE_MS;
    while (!stopping.signal.aborted) {
      current = startSafely(options);
      const ended = current && once(current, 'exit').catch(() => {});
      socket = current && (await readSocket(current));
      if (socket !== undefined) pause = options.pauseMs ?? PAUSE_MS;
      else if (!stopping.signal.aborted) tellUnprepared(options.log, pause);
      await ended;
      socket = undefined;
      await sleep(pause, undefined, { signal: stopping.signal, ref: false }).catch(() => {});
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  })();
  return {
    environment: () => (socket === undefined ? {} : { AGENT_PREPARED: socket }),
    stop: async () => {
      stopping.abort();
      const killer = setTimeout(() => current?.kill('SIGKILL'), END_MS);
      current?.stdin?.end();
      await keeping;
      clearTimeout(killer);
    },
  };
}

/** Node throws some errors, such as a lack of memory, instead of reporting them as an event. */
function startSafely(options: PreparedAnsibleOptions): ChildProcess | undefined {
  try {
    return start(options);
  } catch {
    return undefined;
  }
}

/** Its standard input is a pipe that ends with this process, however that ends; and so does it. */
function start({ path, ansibleBin, environment, processTags }: PreparedAnsibleOptions): ChildProcess {
  const child = spawn(path, ['serve'], {
    // Ctrl-C at the terminal is for the service, which stops it in order.
    detached: true,
    env: {
      ...environment,
      ...processTags,
      ...(ansibleBin === undefined ? {} : { ANSIBLE_BIN: ansibleBin }),
      LC_ALL: 'C.UTF-8',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  return child;
}

/** Returns the path that it prints once it is ready; undefined if it ends instead. */
async function readSocket(child: ChildProcess): Promise<string | undefined> {
  for await (const line of createInterface({ input: child.stdout! })) return line;
  return undefined;
}

function tellUnprepared(log: Log, pauseMs: number): void {
  log.info(
    { event: 'ansible.not_prepared', retrySeconds: Math.round(pauseMs / 1000) },
    'Ansible could not be loaded beforehand: each configuration loads it',
  );
}
