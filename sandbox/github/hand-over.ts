import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 10;

/** Creates a named pipe for this user only. Its content never reaches a file, not even after a crash. */
export function makePipe(path: string): void {
  execFileSync('mkfifo', ['-m', '600', path]);
}

/**
 * Waits until a process opens the pipe, writes the content and removes the pipe.
 * Resolves without writing when the signal aborts.
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

/**
 * Polls with a non-blocking open: a blocking one would occupy a thread of Node's pool until a reader comes.
 */
async function openForReader(path: string, signal: AbortSignal): Promise<number | undefined> {
  while (!signal.aborted) {
    try {
      return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    await pause(POLL_MS, undefined, { signal }).catch(() => {});
  }
  return undefined;
}

async function writeAll(pipe: number, content: Buffer, signal: AbortSignal): Promise<void> {
  for (let written = 0; written < content.length && !signal.aborted; ) {
    try {
      written += writeSync(pipe, content, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // The reader has exited; its exit code is handled elsewhere.
      if (code === 'EPIPE') return;
      if (code !== 'EAGAIN') throw error;
      await pause(POLL_MS);
    }
  }
}
