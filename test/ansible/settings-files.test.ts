import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithAnsible } from './ansible-folder.ts';
import { setup } from './started-run.ts';

const needsRoot = process.getuid?.() === 0 ? undefined : 'the files that the module writes are root’s';

function tests() {
  let run: ReturnType<typeof setup>;
  let root: string;
  beforeEach(() => {
    run = setup({ AGENT_CONNECTION: 'local' });
    root = join(run.folder, 'root');
    mkdirSync(root);
  });
  afterEach(() => run.close());

  /** Runs the module on this machine; returns Ansible's counts, or why it failed. */
  async function settle(files: object[], options: object = {}): Promise<string> {
    const playbook = join(run.folder, 'playbook.yml');
    const tasks = [{ name: 'Settle', settings_files: { files, ...options } }];
    writeFileSync(playbook, JSON.stringify([{ hosts: 'agents', gather_facts: false, tasks }]));
    const { code, stdout, stderr } = await run.start({ AGENT_PLAYBOOK: playbook }).ended;
    return code === 0 ? stdout.replace(/, \d+\.\d s\n$/, '') : stderr;
  }

  it('creates and removes files and links, once', { timeout: 60_000 }, async () => {
    writeFileSync(join(root, 'behind'), 'old\n', { mode: 0o600 });
    symlinkSync('behind', join(root, 'before'));
    writeFileSync(join(root, 'unwanted'), '');
    const files = [
      { path: join(root, 'made/here/file'), content: 'é\n', mode: '0640' },
      { path: join(root, 'before'), content: 'new\n' },
      { path: join(root, 'link'), link: 'behind' },
      { path: join(root, 'unwanted'), absent: true },
    ];
    expect(await settle(files)).toBe('configured 1 tasks, 1 changed');
    expect(readFileSync(join(root, 'made/here/file'), 'utf8')).toBe('é\n');
    expect(lstatSync(join(root, 'made/here/file')).mode & 0o7777).toBe(0o640);
    // The link's target is written, and the link stays.
    expect(readlinkSync(join(root, 'before'))).toBe('behind');
    expect(readFileSync(join(root, 'behind'), 'utf8')).toBe('new\n');
    expect(readlinkSync(join(root, 'link'))).toBe('behind');
    expect(existsSync(join(root, 'unwanted'))).toBe(false);
    expect(await settle(files)).toBe('configured 1 tasks, 0 changed');
  });

  it('what a killed run changed counts as changed, until it is recorded as applied', {
    timeout: 60_000,
  }, async () => {
    const pending = join(root, 'marks/one');
    const file = { path: join(root, 'file'), content: 'a\n' };
    expect(await settle([file], { pending })).toContain('1 changed');
    expect(await settle([file], { pending })).toContain('1 changed');
    rmSync(pending);
    expect(await settle([file], { pending })).toContain('0 changed');
    expect(existsSync(pending)).toBe(false);
  });

  it('replaces nothing if one of them would be invalid, and leaves no temporary files', {
    timeout: 60_000,
  }, async () => {
    writeFileSync(join(root, 'first'), 'as it was\n');
    const validate = ['grep', '-q', 'valid', '%s'];
    const said = await settle([
      { path: join(root, 'first'), content: 'valid\n', validate },
      { path: join(root, 'second'), content: 'nonsense\n', validate },
    ]);
    expect(said).toContain(`${join(root, 'second')} would be invalid`);
    expect(readFileSync(join(root, 'first'), 'utf8')).toBe('as it was\n');
    expect(readdirSync(root)).toEqual(['first']);
  });
}

describeWithAnsible('the module settings_files', tests, needsRoot);
