import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';

const folder = fileURLToPath(new URL('../../deploy/systemd', import.meta.url));
const units = globSync(join(folder, '*.service'));

/** Out of 10; units without any limits have 9.6. */
const MOST_EXPOSED = 2;

function analyze(...args: string[]) {
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  return { status, said: stdout + stderr, error };
}

/** Copies of the units with a program that this machine has in place of /usr/bin/node. */
function copyUnits(change = (text: string) => text): string[] {
  const copy = mkdtempSync(join(tmpdir(), 'agent-stacks-units-'));
  onTestFinished(() => rmSync(copy, { recursive: true }));
  return units.map((unit) => {
    const path = join(copy, basename(unit));
    writeFileSync(path, change(readFileSync(unit, 'utf8').replaceAll('/usr/bin/node', process.execPath)));
    return path;
  });
}

beforeEach(({ skip }) => {
  skip(analyze('--version').error !== undefined, 'systemd-analyze is missing');
});

test('systemd understands the units', () => {
  expect(units).toHaveLength(3);
  expect(analyze('verify', ...copyUnits())).toMatchObject({ status: 0, said: '' });
  const broken = copyUnits((text) => text.replace('NoNewPrivileges=yes', 'NoNewPrivilege=yes'));
  expect(analyze('verify', ...broken).said).toContain('NoNewPrivilege');
});

test('the units leave the service little that it could harm', () => {
  for (const unit of units) {
    const { status, said } = analyze('security', '--offline=true', `--threshold=${MOST_EXPOSED * 10}`, unit);
    expect(status, said).toBe(0);
  }
  const open = copyUnits((text) =>
    text.replace(/^(NoNew|Protect|Restrict|Private|SystemCall|Capab).*$/gm, ''),
  );
  expect(analyze('security', '--offline=true', `--threshold=${MOST_EXPOSED * 10}`, open[0]!).status).not.toBe(
    0,
  );
});
