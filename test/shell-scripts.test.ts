import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const shellcheck = process.env.AGENT_STACKS_SHELLCHECK || undefined;

// A pattern's `**` leaves out folders whose name begins with a point.
const scripts = globSync(['**/*.sh', '.github/**/*.sh'], {
  cwd: root,
  exclude: (path) => ['node_modules', '.git', '.data'].includes(basename(path)),
});
const jobScripts = scripts.filter((path) => path.startsWith('.github/scripts/'));

/** What shellcheck says of scripts, or of standard input; it follows what they source. */
function lint(paths: string[], input = '') {
  const args = ['--external-sources', '--source-path=SCRIPTDIR', '--format=gcc', '--', ...paths];
  const { status, stdout, stderr } = spawnSync(shellcheck!, args, { cwd: root, input, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

describe('shellcheck', () => {
  test.beforeEach(({ skip }) =>
    skip(shellcheck === undefined, 'shellcheck could not be set up: no PyPI, or no program for this machine'),
  );

  test('finds nothing in the scripts', () => {
    expect(scripts.length).toBeGreaterThan(jobScripts.length);
    expect(lint(scripts)).toEqual({ status: 0, said: '' });
  });

  test('finds what is wrong with one', () => {
    const { status, said } = lint(['-'], '#!/bin/sh\nrm -r $1/*\n');
    expect(status).toBe(1);
    expect(said).toContain('SC2086');
  });
});

test('every script of the workflow ends at the first failure, but what is sourced', () => {
  expect(jobScripts.length).toBeGreaterThan(5);
  for (const path of jobScripts) {
    const [first, ...lines] = readFileSync(join(root, path), 'utf8').split('\n');
    if (first === '# shellcheck shell=bash') continue;
    expect(first, path).toBe('#!/usr/bin/env bash');
    expect(lines, path).toContain('set -euo pipefail');
  }
});

test('every script of the workflow is used by it, or by another of them', () => {
  const users = ['.github/workflows/provision-agent.yml', ...jobScripts];
  for (const path of jobScripts) {
    const others = users.filter((user) => user !== path);
    const isUsed = others.some((user) =>
      readFileSync(join(root, user), 'utf8').includes(`/${basename(path)}`),
    );
    expect(isUsed, path).toBe(true);
  }
});
