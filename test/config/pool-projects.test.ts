import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import type { ConfigError } from '../../src/config/config-error.ts';

/** What is wrong with these settings of the pool in a rehearsal. */
function problemsOf(variables: Record<string, string>): readonly string[] {
  try {
    readConfig({ MODE: 'rehearsal', ...variables });
    return [];
  } catch (error) {
    return (error as ConfigError).problems.filter((problem) => problem.startsWith('POOL'));
  }
}
const PROJECTS = 'eu=eu, us=us:5';

test('pools of configured projects and their places are fine', () => {
  expect(problemsOf({ HCLOUD_PROJECTS: PROJECTS, POOL: 'us:ash/pro=10, eu-central/starter=1' })).toEqual([]);
  expect(problemsOf({ POOL: 'ash/pro=1, default:nbg1/starter=1' })).toEqual([]);
});

test.each([
  ['uss:ash/pro=3', /names the Hetzner project uss.* names eu, us\. Correct the name/],
  ['eu:ash/pro=1', /wants servers in ash in the Hetzner project eu, .* Name the place there/],
  ['sin/pro=1', /wants servers in sin, .* no Hetzner project .* Name the place there/],
])('POOL=%s is refused at the start, with what to do', (POOL, why) => {
  expect(problemsOf({ HCLOUD_PROJECTS: PROJECTS, POOL })).toEqual([expect.stringMatching(why)]);
});

test('the sandbox has the one project default', () => {
  expect(() => readConfig({ POOL: 'us:ash/pro=1' })).toThrow(/POOL names the Hetzner project us/);
});

test('a list of projects that is malformed is the only problem', () => {
  expect(problemsOf({ HCLOUD_PROJECTS: 'us', POOL: 'us:ash/pro=1' })).toEqual([]);
});
