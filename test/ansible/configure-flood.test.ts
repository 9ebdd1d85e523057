import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { type BehaviourName, startHostileServer } from '../support/hostile-server.ts';
import { needsLinux } from './ansible-folder.ts';
import { argumentLists, setup, until } from './started-run.ts';

vi.setConfig({ testTimeout: 60_000 });

const MEGABYTE = 1024 * 1024;

/** Needs neither Ansible nor a server: fake programs print what a server could make the real ones print. */
describe.skipIf(needsLinux !== undefined)('a run whose server floods it with output', () => {
  let run: ReturnType<typeof setup>;
  let bin: string;
  beforeEach(() => {
    run = setup();
    bin = join(run.folder, 'bin');
    mkdirSync(bin);
    program('ansible-playbook', 'exit 0');
  });
  afterEach(() => run.close());

  const program = (name: string, script: string) =>
    writeFileSync(join(bin, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });

  function environment(more: Record<string, string> = {}): Record<string, string> {
    const keys = generateAgentKeys('agent-1');
    return {
      PATH: `${bin}:${process.env.PATH}`,
      ANSIBLE_BIN: bin,
      AGENT_CONNECTION: 'ssh',
      AGENT_SSH_PRIVATE_KEY: keys.sshPrivateKey,
      AGENT_HOST_PUBLIC_KEY: keys.hostPublicKey,
      AGENT_NEW_HOST_KEY: keys.nextHostPrivateKey,
      ...more,
    };
  }

  /** Size in bytes of the run's private folder. */
  const kept = () =>
    run.scratchFolders().reduce((sum, folder) => sum + sizeOf(folder), 0) + sizeOf(run.folder, 'log');

  function sizeOf(folder: string, only?: string): number {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && (only === undefined || entry.name === only))
      .reduce(
        (sum, { name }) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
        0,
      );
  }

  /** The highest memory use of any process of the run, in MB. */
  const mostMemory = () =>
    Math.max(
      ...argumentLists()
        .filter(({ text }) => text.includes('ansible/configuring'))
        .map(({ pid }) => Number(/^VmHWM:\s+(\d+) kB$/m.exec(statusOf(pid))?.[1] ?? 0) / 1024),
    );

  const statusOf = (pid: number) => {
    try {
      return readFileSync(`/proc/${pid}/status`, 'utf8');
    } catch {
      return '';
    }
  };

  it('keeps only the end of ssh’s output, however long it lasts', async () => {
    const count = join(run.folder, 'megabytes');
    program('ssh', `while head -c ${MEGABYTE} /dev/zero >&2; do echo 1 >>'${count}'; done`);
    const started = run.start(environment());
    const megabytes = () => statSync(count, { throwIfNoEntry: false })?.size ?? 0;
    await until('ssh has said 200 MB', () => megabytes() > 2 * 200 || kept() > 32 * MEGABYTE);
    expect(kept()).toBeLessThan(MEGABYTE);
    expect(mostMemory()).toBeLessThan(200);
    started.process.kill('SIGTERM');
    expect((await started.ended).code).toBe(143);
  });

  it('reports the last of it if the server cannot be reached, within its own time limit', async () => {
    program('ssh', `head -c ${MEGABYTE} /dev/zero >&2; echo >&2; echo 'no route today' >&2; exit 255`);
    const { code, stderr } = await run.start(environment({ AGENT_TIMEOUT_SECONDS: '4' })).ended;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'configure: the server cannot be reached: no route today\n',
    });
  });

  it.each([
    ['lines', `yes ${'x'.repeat(200)} | head -c ${100 * MEGABYTE}`],
    ['one line', `head -c ${100 * MEGABYTE} /dev/zero`],
  ])('keeps the beginning and the end of Ansible’s output, and the progress lines: %s', async (_, flood) => {
    const playbook = `echo 'progress: First: ok (0.1 s)'; ${flood}; echo; echo 'progress: Last: failed (0.1 s)'; echo the reason; exit 2`;
    program('ansible-playbook', playbook);
    const { code, stderr } = await run.start(environment({ AGENT_CONNECTION: 'simulated' })).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('the reason');
    expect(stderr.length).toBeLessThan(64 * 1024);
    expect(kept()).toBeLessThan(6 * MEGABYTE);
    const log = run.log();
    expect(log).toMatch(/^progress: First: ok \(0.1 s\)$/m);
    expect(log).toMatch(/^progress: Last: failed \(0.1 s\)$/m);
    expect(log).toMatch(/^… \d+ bytes omitted; the last of them:$/m);
  });

  it('lets no process of a run use up the memory of this host', async () => {
    program('ansible-playbook', `python3 -c "b'x' * (2 << 30)"`);
    const { code, stderr } = await run.start(environment({ AGENT_CONNECTION: 'simulated' })).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('MemoryError');
  });

  it('ends within its time limit whatever answers in the server’s place', async () => {
    const behaviours: BehaviourName[] = [
      'switches protocols',
      'says 103 without end',
      'sends without end',
      'drips its head',
      'is silent',
      'closes at once',
      'resets the connection',
      'speaks no HTTP',
    ];
    const bridge = join(run.folder, 'bridge.mjs');
    writeFileSync(
      bridge,
      `import { connect } from 'node:net';
const socket = connect(Number(process.argv[2]), '127.0.0.1');
process.stdin.pipe(socket).pipe(process.stdout);
socket.on('error', () => process.exit(1));
socket.on('close', () => process.exit(0));
`,
    );
    const runs = behaviours.map(async (behaviour) => {
      const { port } = await startHostileServer(behaviour);
      const way = { AGENT_SSH_PROXY_COMMAND: `${process.execPath} ${bridge} ${port}` };
      const log = { AGENT_LOG_FILE: join(run.folder, `${port}.log`), AGENT_TIMEOUT_SECONDS: '2' };
      return run.start({ ...environment(way), ...log }).ended;
    });
    for (const [index, { code, stderr }] of (await Promise.all(runs)).entries()) {
      expect(code, `${behaviours[index]}: ${stderr}`).toBe(1);
      expect(stderr, behaviours[index]).toMatch(/^configure: the server cannot be reached: .{1,300}\n$/);
    }
    expect(kept()).toBeLessThan(MEGABYTE);
  });
});
