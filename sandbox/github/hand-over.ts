import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const LOOK_MS = 10;

/** Makes a named pipe for this user alone. What is handed over through it is in no file, not even after a kill. */
export function makePipe(path: string): void {
  execFileSync('mkfifo', ['-m', '600', path]);
}

/**
 * Waits until a process opens the pipe, and gives it the content; the pipe is gone then.
 * Resolves without having done so when the signal is aborted.
 */
export async function handOver(path: string, content: string, signal: AbortSignal): Promise<void> {
  try {
    const pipe = await openForReader(path, signal);
    if (pipe === undefined) return;
    try {
      await writeAll(pipe, Buffer.from(content), signal);
    } finally {
      closeSync(pipe);
    }
  } finally {
    rmSync(path, { force: true });
  }
}

/** Opened without waiting, since a wait in the system would hold one of Node's few threads for as long as nobody reads. */
async function openForReader(path: string, signal: AbortSignal): Promise<number | undefined> {
  while (!signal.aborted) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    await pause(LOOK_MS, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

async function writeAll(pipe: number, content: Buffer, signal: AbortSignal): Promise<void> {
  for (let written = 0; written < content.length && !signal.aborted; ) {
    try {
      written += writeSync(pipe, content, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // The reader has ended; what became of it is seen elsewhere.
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      await pause(LOOK_MS);
    }
  }
}
