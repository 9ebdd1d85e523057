import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { killProcesses } from '../../../src/processes/find.ts';
import type { DocumentedSettings, FromDocumented, ToDocumented } from './messages.ts';

/** The documented way's process, seen from the benchmark. */
export interface DocumentedClient {
  pid: number;
  run(message: WithoutId<ToDocumented>): Promise<Record<string, unknown>>;
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** Marks the process and everything below it, so that nothing of it is left when the benchmark is interrupted. */
const MARK = 'AGENT_STACKS_BENCH';

export async function startDocumented(
  settings: DocumentedSettings,
  environment: Record<string, string>,
  defer: (stop: () => Promise<unknown>) => void,
): Promise<DocumentedClient> {
  const mark = `${process.pid} ${Date.now()}`;
  const child = fork(fileURLToPath(new URL('process.ts', import.meta.url)), [JSON.stringify(settings)], {
    env: { ...environment, [MARK]: mark },
    detached: true,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const stop = async () => {
    await killProcesses((variables) => variables.get(MARK) === mark);
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
    else waiting?.reject(new Error(`The documented way has failed: ${message.message}`));
  });
  child.on('exit', () => {
    for (const { reject } of pending.values()) reject(new Error('The documented way’s process has ended'));
  });
  return pending;
}
