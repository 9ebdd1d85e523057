import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export interface Script {
  command: string;
  /** The program and arguments before the command, by default `/bin/sh -c`. */
  interpreter: string[];
  dir: string | undefined;
  stdin: string | undefined;
  environment: Record<string, string>;
  onLine(stream: 'stdout' | 'stderr', line: string): void;
}

export interface Output {
  stdout: string;
  stderr: string;
}

const KILL_AFTER_SECONDS = 2;
/** The maximum number of characters that a script may print on either stream. */
const OUTPUT_LIMIT = 4 * 1024 * 1024;
const SHOWN_OF_EXCESS = 16 * 1024;

/**
 * Runs a script to its end, in its own process group, and returns its output without the last line break. If
 * the signal aborts, or the script prints more than 4 MB, the whole group gets SIGTERM, and SIGKILL two
 * seconds later.
 * @throws Error with the official provider's text if the script fails.
 */
export async function runScript(script: Script, signal: AbortSignal): Promise<Output> {
  signal.throwIfAborted();
  const [program, ...args] = script.interpreter.length > 0 ? script.interpreter : ['/bin/sh', '-c'];
  const child = spawn(program!, [...args, script.command], {
    cwd: script.dir,
    env: script.environment,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const printed = { stdout: '', stderr: '', both: '' };
  const flooded = new AbortController();
  for (const stream of ['stdout', 'stderr'] as const) {
    const showLines = splitLines((line) => script.onLine(stream, line));
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      if (printed[stream].length + text.length > OUTPUT_LIMIT) {
        flooded.abort(new Error(`more than ${OUTPUT_LIMIT} characters on ${stream}`));
        return;
      }
      printed[stream] += text;
      printed.both += text;
      showLines(text);
    });
  }
  // A script may exit without reading its input.
  child.stdin.on('error', () => undefined).end(script.stdin ?? '');

  const ended = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, by) =>
      resolve(by ? `signal: ${by}` : code === 0 ? undefined : `exit status ${code}`),
    );
  });
  const failure = await endedOrAborted(child, ended, AbortSignal.any([signal, flooded.signal]));
  if (failure !== undefined) {
    const said = flooded.signal.aborted ? printed.both.slice(-SHOWN_OF_EXCESS) : printed.both;
    throw new Error(`${failure}: running ${JSON.stringify(script.command)}:\n${said}`);
  }
  return { stdout: withoutLineEnd(printed.stdout), stderr: withoutLineEnd(printed.stderr) };
}

async function endedOrAborted(
  child: ChildProcess,
  ended: Promise<string | undefined>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const aborted = Promise.withResolvers<'aborted'>();
  const onAbort = () => aborted.resolve('aborted');
  signal.addEventListener('abort', onAbort);
  try {
    const first = await Promise.race([ended, aborted.promise]);
    if (first !== 'aborted') return first;
    await endGroup(child, ended);
    return signal.reason instanceof Error ? signal.reason.message : 'context canceled';
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Stops the group and returns once it is gone, even if its members ignore the first signal. */
async function endGroup(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  const group = child.pid;
  if (group === undefined) return;
  signalGroup(group, 'SIGTERM');
  const patience = new AbortController();
  await Promise.race([
    ended,
    delay(KILL_AFTER_SECONDS * 1000, undefined, { signal: patience.signal }).catch(() => {}),
  ]);
  patience.abort();
  // Even if the leader has exited: a member that ignores SIGTERM may have closed the pipes.
  signalGroup(group, 'SIGKILL');
  // A process in another session may still hold the pipes open: stop reading them.
  child.stdout?.destroy();
  child.stderr?.destroy();
  await ended;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function splitLines(show: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    // Keeps only the end of an endless line.
    rest = lines.pop()!.slice(-SHOWN_OF_EXCESS);
    for (const line of lines) show(line);
  };
}

function withoutLineEnd(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
