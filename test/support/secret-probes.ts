import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Secrets to search for, by name. A multi-line secret has a probe for each line that is unique to it. */
export type SecretProbes = Map<string, string>;

export function addSecretProbes(probes: SecretProbes, what: string, text: string): void {
  const lines = text.split('\n').filter((line) => line.length >= 8 && !line.startsWith('-----'));
  lines.forEach((line, index) => {
    // The first two lines of an OpenSSH private key hold its type and its public half.
    if (lines.length > 1 && index < 2) return;
    probes.set(lines.length === 1 ? what : `${what}, line ${index + 1}`, line);
  });
}

/** Returns which secrets the text contains, in plain or in the encodings used to send them. */
export function findSecretProbes(probes: SecretProbes, where: string, text: string): string[] {
  return [...probes].flatMap(([what, secret]) =>
    [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')].some(
      (form) => text.includes(form),
    )
      ? [`${what} in ${where}`]
      : [],
  );
}

/** Reads every file below a folder, except those that match `leftOut`. */
export function filesBelow(folder: string, leftOut: RegExp): { path: string; text: string }[] {
  return entriesBelow(folder)
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((path) => !leftOut.test(path.slice(folder.length + 1)))
    .flatMap((path) => (existsSync(path) ? [{ path, text: readFileSync(path, 'latin1') }] : []));
}

export interface ProcessWatch {
  /** Every argument list seen. */
  arguments: Set<string>;
  /** Every value of these variables seen in an environment. */
  environments: Map<string, Set<string>>;
  stop(): void;
}

const LOOK_MS = 30;
/** A process that has kept its arguments for so many looks seldom gets others: it is read at every tenth. */
const SETTLED_LOOKS = 60;

/** Polls all processes of this machine. */
export function watchProcesses(variables: string[]): ProcessWatch {
  const seen: ProcessWatch = {
    arguments: new Set(),
    environments: new Map(variables.map((name) => [name, new Set()])),
    stop: () => clearInterval(timer),
  };
  let known = new Map<string, { words: string; looks: number }>();
  let count = 0;
  const look = (pid: string) => {
    const before = known.get(pid);
    if (before !== undefined && before.looks > SETTLED_LOOKS && (count + Number(pid)) % 10 !== 0)
      return before;
    const words = read(pid, 'cmdline');
    if (words === before?.words) return { words, looks: before.looks + 1 };
    seen.arguments.add(words);
    for (const entry of read(pid, 'environ').split('\0')) {
      const [name = ''] = entry.split('=', 1);
      seen.environments.get(name)?.add(entry.slice(name.length + 1));
    }
    return { words, looks: 0 };
  };
  const timer = setInterval(() => {
    count += 1;
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    known = new Map(pids.map((pid) => [pid, look(pid)]));
  }, LOOK_MS);
  return seen;
}

function read(pid: string, file: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** Retries if a folder disappears while it is read, as a run's folder does at its end. */
function entriesBelow(folder: string) {
  for (let tries = 1; ; tries++) {
    try {
      return readdirSync(folder, { recursive: true, withFileTypes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === 100) throw error;
    }
  }
}
