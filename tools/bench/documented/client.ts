import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killProcesses } from '../../../src/processes/find.ts';
import type { DocumentedSettings, FromDocumented, ToDocumented } from './messages.ts';

/** The benchmark's client of the process with the documented usage. */
export interface DocumentedClient {
  pid: number;
  run(message: WithoutId<ToDocumented>): Promise<Record<string, unknown>>;
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Tags the process and its descendants, so that an interrupted benchmark can end them all. */
const PROCESS_TAG = 'AGENT_STACKS_BENCH';

export async function startDocumented(
  settings: DocumentedSettings,
  environment: Record<string, string>,
  defer: (stop: () => Promise<unknown>) => void,
): Promise<DocumentedClient> {
  const mark = `${process.pid} ${Date.now()}`;
  const child = fork(fileURLToPath(new URL('process.ts', import.meta.url)), [JSON.stringify(settings)], {
    // The SDK leaves a folder for each stack.
    env: { ...environment, TMPDIR: settings.temporary, [PROCESS_TAG]: mark },
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const stop = async () => {
    await killProcesses((variables) => variables.get(PROCESS_TAG) === mark);
  };
  defer(stop);
  const pending = answers(child);
  await once(child, 'message');
  let lastId = 0;
  return {
    pid: child.pid!,
    run: (message) =>
      new Promise((resolve, reject) => {
        lastId += 1;
        pending.set(lastId, { resolve, reject });
        child.send({ ...message, id: lastId });
      }),
  };
}

interface Pending {
  resolve(outputs: Record<string, unknown>): void;
  reject(error: Error): void;
}

function answers(child: ChildProcess): Map<number, Pending> {
  const pending = new Map<number, Pending>();
  child.on('message', (message: FromDocumented) => {
    if (message.type === 'ready') return;
    const waiting = pending.get(message.id);
    pending.delete(message.id);
    if (message.type === 'done') waiting?.resolve(message.outputs);
    else waiting?.reject(new Error(`The documented usage failed: ${message.message}`));
  });
  child.on('exit', () => {
    for (const { reject } of pending.values())
      reject(new Error('The process with the documented usage has ended'));
  });
  return pending;
}
