import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../sandbox/host/free-port.ts';
import { readSandboxFile, type SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { errorMessage } from '../../src/errors.ts';
import { serviceEnvironment, serviceOptions } from '../setup/node24.mjs';

/** The service as its users start it, as a separate process. */
export interface ServiceProcess {
  pid: number;
  url: string;
  sandbox: SandboxFile;
  stop(): Promise<void>;
}

export interface ServiceSettings {
  dataDir: string;
  role: 'all' | 'api';
  environment: Record<string, string>;
  /** Registers how to stop the process, as soon as it exists. */
  defer: (stop: () => Promise<unknown>) => void;
}

const START_TIMEOUT_SECONDS = 120;
const LAST_WORDS = 3_000;

/**
 * Starts src/main.ts on the folder and returns once it serves. @throws Error with its output if it does not
 * start
 */
export async function startService({
  dataDir,
  role,
  environment,
  defer,
}: ServiceSettings): Promise<ServiceProcess> {
  const port = await freePort(null);
  const child = fork(fileURLToPath(new URL('../../src/main.ts', import.meta.url)), ['--role', role], {
    env: {
      ...environment,
      ...serviceEnvironment,
      MODE: 'sandbox',
      DATA_DIR: dataDir,
      PORT: String(port),
      // The benchmark buys more than a breaker lets through in an hour.
      LIMIT_CREATES_PER_HOUR: '999999',
    },
    // Ctrl-C goes to the benchmark, which then stops the service; the end of the channel stops it in any
    // case.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning', ...serviceOptions],
  });
  const said = collect(child);
  const stop = async () => {
    if (hasEnded(child)) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  };
  defer(stop);
  const url = `http://127.0.0.1:${port}`;
  try {
    const sandbox = await untilReady(child, { url, dataDir });
    return { pid: child.pid!, url, sandbox, stop };
  } catch (error) {
    throw new Error(`The service did not start: ${errorMessage(error)}. Its output:\n${said()}`, {
      cause: error,
    });
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-LAST_WORDS);
    });
  return () => text;
}

/** HTTP is up before the sandbox, whose addresses are written last. */
async function untilReady(
  child: ChildProcess,
  { url, dataDir }: { url: string; dataDir: string },
): Promise<SandboxFile> {
  const deadline = Date.now() + START_TIMEOUT_SECONDS * 1000;
  while (Date.now() < deadline) {
    if (hasEnded(child)) throw new Error('it ended');
    const serves = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    );
    const sandbox = serves ? readSandboxFile(dataDir) : undefined;
    if (sandbox !== undefined) return sandbox;
    await sleep(100);
  }
  throw new Error(`it was not ready within ${START_TIMEOUT_SECONDS} s`);
}
