import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openInternet } from '../../sandbox/machines/real/internet.ts';
import { createHeadscaleControl } from '../../sandbox/tailscale/headscale/control.ts';
import { RELAY_OVER_HTTP, startHeadscale } from '../../sandbox/tailscale/headscale/headscale.ts';
import { enforceRecordedPolicy } from '../../sandbox/tailscale/policy.ts';
import { createLocalApi } from '../../src/tailnet/local-api.ts';
import { setup } from './sandbox-tailnet.ts';

interface Tools {
  headscale: string;
  tailscale: string;
  tailscaled: string;
}

const prepared: Tools | { missing: string[] } = JSON.parse(
  process.env.AGENT_STACKS_MACHINE_TOOLS ||
    '{"missing":["AGENT_STACKS_MACHINE_TOOLS is not set: run npm test"]}',
);

/** Why no real tailnet can run here, or undefined. */
export const whyNot =
  'missing' in prepared ? `a real tailnet cannot run here: ${prepared.missing.join('; ')}` : undefined;

export const tools = prepared as Tools;

/** Starts headscale in its own network, with the Tailscale API in front of it, and machines that can join. */
export async function openRealTailnet() {
  const dir = mkdtempSync(join(tmpdir(), 'as-tailnet-'));
  const internet = await openInternet({
    dir: join(dir, 'internet'),
    tag: randomBytes(6).toString('hex'),
    path: process.env.PATH,
  });
  const start = () =>
    startHeadscale({
      run: internet.run,
      dir: join(dir, 'headscale'),
      binary: tools.headscale,
      address: '10.254.254.1',
      port: 8080,
    });
  const headscale = await start();
  const api = await setup(async (database) => {
    const control = await createHeadscaleControl(headscale);
    await enforceRecordedPolicy(database, control);
    return control;
  });
  const devices: ChildProcess[] = [];
  let number = 1;

  /** Starts a machine on the network, with a tailscaled that has not joined yet. */
  async function machine(name: string) {
    number += 1;
    const { enter } = await internet.attach({ name, ipv4: `198.18.0.${number}` });
    const folder = join(dir, name);
    mkdirSync(folder);
    const socket = join(folder, 's');
    const within = (command: string, args: string[], env: object = {}) =>
      spawn(enter[0]!, [...enter.slice(1), command, ...args], {
        stdio: 'ignore',
        env: { ...internet.environment, ...env },
      });
    const daemon = ['--tun=userspace-networking', `--socket=${socket}`, `--statedir=${folder}`, '--port=0'];
    devices.push(within(tools.tailscaled, daemon, { ...RELAY_OVER_HTTP, TS_NO_LOGS_NO_SUPPORT: 'true' }));
    const local = createLocalApi(socket);
    await eventually(() => local.status());
    return {
      local,
      /** Does what a new server's first boot does. @throws Error with tailscale's output */
      join: async (key: string) => {
        const file = join(folder, 'key');
        writeFileSync(file, key, { mode: 0o600 });
        const login = ['--login-server=http://10.254.254.1:8080', `--auth-key=file:${file}`, '--timeout=5s'];
        await promisify(execFile)(tools.tailscale, [
          `--socket=${socket}`,
          'up',
          ...login,
          `--hostname=${name}`,
        ]);
        return (await local.status()).Self!.TailscaleIPs![0]!;
      },
      /** Does what root on the machine can do at any time. */
      setHostname: (hostname: string) =>
        promisify(execFile)(tools.tailscale, [`--socket=${socket}`, 'set', `--hostname=${hostname}`]),
      /** Starts a server that answers `name` on a port of this machine. */
      serve: async (port: number) => {
        const script = `require('http').createServer((q, r) => r.end('${name}')).listen(${port}, '127.0.0.1')`;
        devices.push(within(process.execPath, ['-e', script]));
      },
      /** Whether a connection succeeds. */
      reaches: (address: string, port: number, milliseconds = 1000) =>
        local.dial(address, port, AbortSignal.timeout(milliseconds)).then(
          (connection) => {
            connection.destroy();
            return true;
          },
          () => false,
        ),
    };
  }

  return {
    ...api,
    dir,
    internet,
    headscale,
    machine,
    close: async () => {
      for (const process of devices) if (process.exitCode === null) process.kill('SIGKILL');
      await Promise.all(
        devices.map((process) => process.exitCode ?? process.signalCode ?? once(process, 'exit')),
      );
      await headscale.stop();
      await api.close();
      await internet.close();
      rmSync(dir, { recursive: true });
    },
  };
}

export type RealTailnet = Awaited<ReturnType<typeof openRealTailnet>>;

/** Waits until `check` succeeds with a truthy value. */
export async function eventually<T>(check: () => Promise<T>, withinSeconds = 60): Promise<T> {
  for (const deadline = Date.now() + withinSeconds * 1000; ; await pause(50)) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    if (Date.now() > deadline) throw new Error(`Still false after ${withinSeconds} seconds`);
  }
}
