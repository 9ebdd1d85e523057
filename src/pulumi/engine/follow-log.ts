import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const INTERVAL_MS = 300;
const CHUNK_BYTES = 64 * 1024;
const LONGEST_LINE = 4_000;

/**
 * Passes on each line that ansible/callbacks/progress.py writes to its file, as soon as it is written. It is
 * a separate file, because a machine could forge or bury these lines in the log.
 * @returns a function that stops it, after it has passed on the lines written by then.
 */
export function followProgress(path: string, tell: (line: string) => void): () => Promise<void> {
  const stopped = new AbortController();
  const following = follow(path, tell, stopped.signal);
  // An unreadable file costs only the progress lines.
  const done = following.catch(() => {});
  return () => {
    stopped.abort();
    return done;
  };
}

async function follow(path: string, tell: (line: string) => void, stopped: AbortSignal): Promise<void> {
  let file: FileHandle | undefined;
  const lines = createLines(tell);
  try {
    for (let last = false; ; last = stopped.aborted) {
      file ??= await open(path).catch(() => undefined);
      if (file !== undefined) await readRest(file, lines);
      if (last) return;
      await sleep(INTERVAL_MS, undefined, { signal: stopped }).catch(() => {});
    }
  } finally {
    await file?.close();
  }
}

/** Reads the rest of the file in chunks. */
async function readRest(file: FileHandle, take: (text: string) => void): Promise<void> {
  const buffer = Buffer.alloc(CHUNK_BYTES);
  const decoder = new TextDecoder();
  for (;;) {
    const { bytesRead } = await file.read({ buffer });
    take(decoder.decode(buffer.subarray(0, bytesRead), { stream: true }));
    if (bytesRead < CHUNK_BYTES) return;
  }
}

/** Splits chunks of text into lines; drops overlong ones without buffering them. */
function createLines(tell: (line: string) => void): (text: string) => void {
  let held = '';
  let tooLong = false;
  return (text) => {
    const lines = (held + text).split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) {
      if (!tooLong && line.length <= LONGEST_LINE) tell(line);
      tooLong = false;
    }
    if (held.length <= LONGEST_LINE) return;
    tooLong = true;
    held = '';
  };
}
