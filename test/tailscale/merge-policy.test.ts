import jsonc from 'jsonc-parser';
import { expect, test } from 'vitest';
import { mergePolicy } from '../../src/tailscale/merge-policy.ts';
import { readOurPolicy } from '../../src/tailscale/our-policy.ts';

const ours = await readOurPolicy();

const THEIRS = `// Ours since 2020.
{
  "groups": { "group:ops": ["ada@example.com"] },
  "tagOwners": { "tag:agent": ["autogroup:admin"], "tag:db": ["group:ops"] }, // keep
  "acls": [
    { "action": "accept", "src": ["*"], "dst": ["*:*"] },
    { "action": "accept", "src": ["group:ops"], "dst": ["tag:db:5432"] }, // the database
  ],
}
`;

test('adds what agents need to a policy, and keeps the rest with its comments', () => {
  const merged = mergePolicy(THEIRS, ours);
  expect(merged).toContain('// Ours since 2020.');
  expect(merged).toContain('"src": ["group:ops"], "dst": ["tag:db:5432"] }');
  expect(merged).toContain('// the database');
  expect(merged).not.toContain('*:*');
  for (const text of ['"tag:db": ["group:ops"]', '"tag:controller"', '"tests"'])
    expect(merged).toContain(text);
  // What is there already is not added again.
  expect(mergePolicy(merged, ours)).toBe(merged);
});

test('takes the open rule of a new tailnet away, in either form', () => {
  const grants = '{ "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["*"] }] }';
  const merged = jsonc.parse(mergePolicy(grants, ours), [], { allowTrailingComma: true });
  expect(merged).toMatchObject({ grants: [], tagOwners: ours.tagOwners, acls: ours.acls, tests: ours.tests });
  expect(mergePolicy(ours.text, ours)).toBe(ours.text);
});

test.each(['', '[]', '{ "acls": ', 'no'])('refuses what is no policy: %s', (text) => {
  expect(() => mergePolicy(text, ours)).toThrow('cannot be read as HuJSON');
});
