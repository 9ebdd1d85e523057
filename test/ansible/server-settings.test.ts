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
  async function settle(
    files: object[],
    options: object = {},
    variables: Record<string, string> = {},
    taskVariables: Record<string, string> = {},
  ): Promise<string> {
    const playbook = join(run.folder, 'playbook.yml');
    const tasks = [{ name: 'Settle', server_settings: { files, ...options }, vars: taskVariables }];
    writeFileSync(playbook, JSON.stringify([{ hosts: 'agents', gather_facts: false, tasks }]));
    const { code, stdout, stderr } = await run.start({ AGENT_PLAYBOOK: playbook, ...variables }).ended;
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

  it('repeats no secret that the server was sent, whatever it says', { timeout: 90_000 }, async () => {
    const path = join(root, 'secret');
    const file = { path, content: 'API_KEY="of the\\agent"\n{\nsecond-secret\n', mode: '0600' };
    const telling = { argv: ['sh', '-c', `cat ${path} >&2; exit 1`], paths: [path] };
    const said = await settle([file], { pending: join(root, 'mark'), commands: [telling] });
    expect(said).toMatch(/\[withheld\]\s+\{\s+\[withheld\]/);
    expect(said).not.toMatch(/of the|second-secret/);
    // What should run the program repeats it.
    const repeater = join(root, 'repeater');
    writeFileSync(repeater, '#!/bin/sh\ntail -n 1; exit 3\n', { mode: 0o755 });
    const repeated = await settle([file], {}, {}, { ansible_python_interpreter: repeater });
    expect(repeated).toContain('[withheld]');
    expect(repeated).not.toMatch(/of the|second-secret/);
  });

  it('runs the commands of changed files, and again after a run that failed or was killed midway', {
    timeout: 90_000,
  }, async () => {
    const pending = join(root, 'marks/one');
    const file = { path: join(root, 'file'), content: 'a\n' };
    const other = { path: join(root, 'other'), content: 'b\n' };
    const ran = join(root, 'ran');
    const count = () => (existsSync(ran) ? readFileSync(ran, 'utf8').length : 0);
    const counting = { argv: ['sh', '-c', `printf x >>${ran}`], paths: [file.path] };
    const blocked = {
      argv: ['sh', '-c', `test -e ${root}/way || { echo no way >&2; exit 1; }`],
      paths: [file.path],
    };
    const options = { pending, commands: [counting, blocked] };
    const said = await settle([file, other], options);
    expect(said).toContain('no way');
    expect(count()).toBe(1);
    writeFileSync(join(root, 'way'), '');
    // Nothing differs any more, and still all of it is applied.
    expect(await settle([file, other], options)).toContain('1 changed');
    expect(count()).toBe(2);
    expect(existsSync(pending)).toBe(false);
    expect(await settle([file, other], options)).toContain('0 changed');
    expect(await settle([file, { ...other, content: 'c\n' }], options)).toContain('1 changed');
    expect(count()).toBe(2);
  });

  it('brings services in line: enables, starts, restarts, reloads, each kind in one call', {
    timeout: 90_000,
  }, async () => {
    const calls = join(run.folder, 'calls');
    const states = join(run.folder, 'states');
    const programs = join(run.folder, 'bin');
    mkdirSync(programs);
    const systemctl = `#!/bin/sh\ncase $1 in show) cat ${states} ;; *) echo "$*" >>${calls} ;; esac\n`;
    writeFileSync(join(programs, 'systemctl'), systemctl, { mode: 0o755 });
    const PATH = `${programs}:${process.env.PATH}`;
    const file = { path: join(root, 'file'), content: 'a\n' };
    const own = { paths: [file.path], enabled: true };
    const services = [
      { name: 'one.service', ...own },
      { name: 'two.service', ...own, reloads: true },
      { name: 'three.service' },
      { name: 'four.service', reloads: true, outdated: true },
    ];
    const show = (...each: string[]) =>
      writeFileSync(
        states,
        each.map((one) => `ActiveState=${one.replace(' ', '\nUnitFileState=')}\n`).join('\n'),
      );
    const called = () => {
      const lines = existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : [];
      rmSync(calls, { force: true });
      return lines;
    };
    show('active disabled', 'active enabled', 'inactive enabled', 'active static');
    expect(await settle([file], { services }, { PATH })).toContain('1 changed');
    expect(called()).toEqual([
      'enable --no-reload -- one.service',
      'restart -- one.service',
      'reload-or-restart -- two.service four.service',
      'start -- three.service',
    ]);
    show('active enabled', 'active enabled', 'active enabled', 'active static');
    const unchanged = services.map((service) => ({ ...service, outdated: false }));
    expect(await settle([file], { services: unchanged }, { PATH })).toContain('0 changed');
    expect(called()).toEqual([]);
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

describeWithAnsible('the module server_settings', tests, needsRoot);
