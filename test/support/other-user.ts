import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** An access attempt of another local user. `message` and `bytes` are base64. */
export type Knock =
  | { kind: 'grpc'; port: number; method: string; message?: string }
  | { kind: 'bytes'; port: number; bytes: string }
  | { kind: 'http'; url: string; method: string; headers: Record<string, string>; body?: string }
  | { kind: 'postgres'; url: string }
  | { kind: 'unix'; path: string }
  | { kind: 'read'; path: string };

export interface Answer {
  id: number;
  answer: string;
}

export const needsRoot =
  process.platform === 'linux' && process.getuid?.() === 0
    ? undefined
    : 'only root on Linux can act as another user';

export interface OtherUser extends AsyncDisposable {
  /** The result: an answer, or `refused <code>`. */
  try(what: Knock): Promise<string>;
}

const NOBODY = 65534;

/**
 * Starts a process as the user `nobody`, who has an account here and nothing else; or as another user, for
 * comparison.
 */
export async function becomeOtherUser(user = NOBODY): Promise<OtherUser> {
  const child = fork(fileURLToPath(new URL('processes/other-user.ts', import.meta.url)), [String(user)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const waiting = new Map<number, (answer: string) => void>();
  const [ready] = (await once(child, 'message')) as [Answer];
  if (ready.answer !== String(user)) throw new Error(`It is user ${ready.answer}, and not ${user}`);
  child.on('message', ({ id, answer }: Answer) => {
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  let last = 0;
  return {
    try: (what) =>
      new Promise((resolve) => {
        last += 1;
        waiting.set(last, resolve);
        child.send({ id: last, what });
      }),
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
