import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 300;
const CHUNK_BYTES = 64 * 1024;

/**
 * Tells each line that ansible/callbacks/progress.py writes to its file, as it is written. A file of its own: in the log a machine could
 * forge these lines, and bury them.
 * @returns ends it, after what has been written by then is told.
 */
export function followProgress(path: string, tell: (line: string) => void): () => Promise<void> {
  const stopped = new AbortController();
  const following = follow(path, tell, stopped.signal);
  // A log that cannot be read hides progress, no more.
  const done = following.catch(() => {});
  return () => {
    stopped.abort();
    return done;
  };
}

async function follow(path: string, tell: (line: string) => void, stopped: AbortSignal): Promise<void> {
  let file: FileHandle | undefined;
  let held = '';
  try {
    for (let last = false; ; last = stopped.aborted) {
      file ??= await open(path).catch(() => undefined);
      if (file !== undefined) held = tellLines(held + (await readRest(file)), tell);
      if (last) return;
      await sleep(LOOK_MS, undefined, { signal: stopped }).catch(() => {});
    }
  } finally {
    await file?.close();
  }
}

async function readRest(file: FileHandle): Promise<string> {
  const parts: Buffer[] = [];
  for (;;) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(CHUNK_BYTES) });
    parts.push(buffer.subarray(0, bytesRead));
    if (bytesRead < CHUNK_BYTES) return Buffer.concat(parts).toString();
  }
}

/** @returns what comes after the last whole line */
function tellLines(text: string, tell: (line: string) => void): string {
  const lines = text.split('\n');
  const rest = lines.pop() ?? '';
  for (const line of lines) tell(line);
  return rest;
}
