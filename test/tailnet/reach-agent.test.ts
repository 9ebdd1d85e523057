import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { proxyCommand } from '../../src/tailnet/node.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reach-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/**
 * Connects as ssh does, through a stand-in for Tailscale's program. `ping`: what that does when it is asked
 * for a path for the `n`th time.
 * @returns what it was asked, and what ssh would read if the agent sent back what it gets
 */
async function reach(ping: string): Promise<{ asked: string[]; read: string }> {
  const tailscale = join(folder, 'tailscale');
  const asked = join(folder, 'asked');
  const script = `#!/bin/sh
echo "$*" >>'${asked}'
test "$2" != nc || exec cat
n=$(grep -c ping '${asked}')
${ping}
`;
  writeFileSync(tailscale, script, { mode: 0o755 });
  const command = proxyCommand(tailscale, '/run/s').replace('%h', '100.64.0.7').replace('%p', '22');
  const running = promisify(execFile)('sh', ['-c', `exec ${command}`]);
  running.child.stdin!.end('SSH-2.0');
  const { stdout } = await running;
  return { asked: readFileSync(asked, 'utf8').trim().split('\n'), read: stdout };
}

const SHORT = '--socket=/run/s ping --c=3 --timeout=100ms -- 100.64.0.7';
const LONG = '--socket=/run/s ping --c=1 --timeout=300ms -- 100.64.0.7';
const CONNECT = '--socket=/run/s nc -- 100.64.0.7 22';

it.each([
  ['there is a path', 'echo "pong from a via 1.2.3.4:5 in 1ms"', 0],
  [
    'the path is one through a relay, after which the program lingers and fails',
    'echo "pong from a (100.64.0.7) via DERP(x) in 1ms"; exec sleep 600',
    0,
  ],
  [
    'the first ping is lost and the second answered',
    'echo "ping timed out"; echo "pong from a via 1.2.3.4:5 in 1ms"; exec sleep 600',
    0,
  ],
  [
    'there is a path a moment later, or a slow one',
    'test $n -lt 3 && { echo "ping timed out"; exit 1; }; echo "pong from a via 1.2.3.4:5 in 1ms"',
    2,
  ],
  ['nothing answers', 'echo "no matching peer" >&2; exit 1', 10],
])('connects when %s', async (_, ping, long) => {
  const asked = [SHORT, ...Array<string>(long).fill(LONG), CONNECT];
  expect(await reach(ping)).toEqual({ asked, read: 'SSH-2.0' });
});
