import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export interface Script {
  command: string;
  /** The program and arguments before the command; `/bin/sh -c` where there are none. */
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

const secondsUntilKill = 2;
/** What a script may print on either stream: a value that somebody uses, or what a person reads. */
const mostPrinted = 4 * 1024 * 1024;
const shownOfFlood = 16 * 1024;

/**
 * Runs a script to its end, in a process group of its own, and returns what it printed without the last
 * line end. Throws in the words of the official provider where it fails. When the signal is aborted the whole
 * group is ended, grandchildren included: first asked, two seconds later killed. So it is when it prints more than 4 MB.
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
      if (printed[stream].length + text.length > mostPrinted) {
        flooded.abort(new Error(`more than ${mostPrinted} characters on ${stream}`));
        return;
      }
      printed[stream] += text;
      printed.both += text;
      showLines(text);
    });
  }
  // A script may end without reading what it was given.
  child.stdin.on('error', () => undefined).end(script.stdin ?? '');

  const ended = new Promise<string | undefined>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, by) =>
      resolve(by ? `signal: ${by}` : code === 0 ? undefined : `exit status ${code}`),
    );
  });
  const failure = await endedOrAborted(child, ended, AbortSignal.any([signal, flooded.signal]));
  if (failure !== undefined) {
    const said = flooded.signal.aborted ? printed.both.slice(-shownOfFlood) : printed.both;
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

/** Ends the group, and returns once it is gone, whatever its members do about the first signal. */
async function endGroup(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  const group = child.pid;
  if (group === undefined) return;
  signalGroup(group, 'SIGTERM');
  const patience = new AbortController();
  await Promise.race([
    ended,
    delay(secondsUntilKill * 1000, undefined, { signal: patience.signal }).catch(() => {}),
  ]);
  patience.abort();
  // Also after the leader has gone by itself: a member that ignores SIGTERM may have let go of the pipes.
  signalGroup(group, 'SIGKILL');
  // One that made itself a session of its own may still hold the pipes: nobody listens any more.
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
    // Of a line that does not end only the end is held.
    rest = lines.pop()!.slice(-shownOfFlood);
    for (const line of lines) show(line);
  };
}

function withoutLineEnd(text: string): string {
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
