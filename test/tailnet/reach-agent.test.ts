import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';

const script = join(import.meta.dirname, '../../src/tailnet/reach-agent.sh');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reach-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/**
 * Connects through a stand-in for Tailscale's program; returns what that was asked, and what ssh would read.
 */
async function reach(ping: string): Promise<{ asked: string[]; read: string }> {
  const tailscale = join(folder, 'tailscale');
  const asked = join(folder, 'asked');
  const count = `n=$(grep -c ping ${asked})`;
  writeFileSync(
    tailscale,
    `#!/bin/sh\necho "$*" >>${asked}\ncase "$2" in nc) echo SSH-2.0 ;; *) ${count}\n${ping} ;; esac\n`,
    { mode: 0o755 },
  );
  const { stdout } = await promisify(execFile)('sh', [script, tailscale, '/run/s', '100.64.0.7', '22']);
  return { asked: existsSync(asked) ? readFileSync(asked, 'utf8').trim().split('\n') : [], read: stdout };
}

const PING = '--socket=/run/s ping --c=1 --timeout=300ms -- 100.64.0.7';
const CONNECT = '--socket=/run/s nc -- 100.64.0.7 22';

it('connects after the first answer, also one through a relay, after which the program lingers and fails', async () => {
  const relayed = 'echo "pong from a (100.64.0.7) via DERP(x) in 1ms"; exec sleep 600';
  expect(await reach(relayed)).toEqual({ asked: [PING, CONNECT], read: 'SSH-2.0\n' });
});

it('asks again while there is no path', async () => {
  const third =
    'test $n -lt 3 && { echo "ping timed out"; exit 1; }; echo "pong from a via 1.2.3.4:5 in 1ms"';
  expect(await reach(third)).toEqual({ asked: [PING, PING, PING, CONNECT], read: 'SSH-2.0\n' });
});

it('connects in the end if nothing answers', async () => {
  const { asked, read } = await reach('echo "no matching peer" >&2; exit 1');
  expect(asked).toEqual([...Array(11).fill(PING), CONNECT]);
  expect(read).toBe('SSH-2.0\n');
});
