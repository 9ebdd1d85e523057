import { z } from 'zod';
import { TailscaleError } from './errors.ts';
import type { PolicyTest } from './policy-tests.ts';
import { parsePolicyText } from './policy-text.ts';

const texts = z.array(z.string());

const testSchema = z
  .object({
    src: z.string().optional(),
    user: z.string().optional(),
    accept: texts.optional(),
    allow: texts.optional(),
    deny: texts.optional(),
  })
  .transform(({ src, user, accept, allow, deny }): PolicyTest => {
    // `user` and `allow` are the old names of `src` and `accept`.
    return { src: src ?? user ?? '', accept: accept ?? allow ?? [], deny: deny ?? [] };
  });

const policySchema = z.object({
  tagOwners: z.record(z.string().regex(/^tag:/, 'must begin with "tag:"'), texts).default({}),
  groups: z.record(z.string().regex(/^group:/, 'must begin with "group:"'), texts).default({}),
  hosts: z.record(z.string(), z.string()).default({}),
  acls: z.array(z.object({ action: z.literal('accept'), src: texts, dst: texts })).default([]),
  grants: z.array(z.object({ src: texts, dst: texts, ip: texts.default([]) })).default([]),
  tests: z.array(testSchema).default([]),
});

/** The parts of a policy file that the sandbox uses. */
export type CheckedPolicy = z.output<typeof policySchema>;

/**
 * Parses a policy file.
 * @throws TailscaleError 400 if it is not a policy, or uses a tag or group that it does not define.
 */
export function checkPolicy(text: string): CheckedPolicy {
  const parsed = policySchema.safeParse(parseText(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new TailscaleError(400, `${issue?.path.join('.') || 'policy file'}: ${issue?.message}`);
  }
  const policy = parsed.data;
  for (const owner of Object.values(policy.tagOwners).flat()) requireDefined(policy, 'tagOwners', owner);
  for (const rule of [...policy.acls, ...policy.grants]) {
    for (const name of rule.src) requireDefined(policy, 'src', name);
    for (const name of rule.dst) requireDefined(policy, 'dst', name);
  }
  return policy;
}

/** Parses the list of tests that `…/acl/validate` accepts. */
export function parseTests(list: readonly unknown[]): PolicyTest[] {
  const parsed = z.array(testSchema).safeParse(list);
  if (parsed.success) return parsed.data;
  throw new TailscaleError(400, 'tests: must be a list of {src, accept, deny}');
}

function parseText(text: string): unknown {
  try {
    return parsePolicyText(text);
  } catch {
    throw new TailscaleError(400, 'syntax error in policy file: not JSON or HuJSON');
  }
}

function requireDefined({ tagOwners, groups }: CheckedPolicy, where: string, name: string): void {
  const [, tag] = /^(tag:[^:]+)/.exec(name) ?? [];
  if (tag !== undefined && !Object.hasOwn(tagOwners, tag))
    throw new TailscaleError(400, `${where}=tag not found: "${tag}"`);
  const [, group] = /^(group:[^:]+)/.exec(name) ?? [];
  if (group !== undefined && !Object.hasOwn(groups, group))
    throw new TailscaleError(400, `${where}=group not found: "${group}"`);
}
