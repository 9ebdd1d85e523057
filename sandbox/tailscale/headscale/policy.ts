import { TailscaleError } from '../errors.ts';
import { policyJson } from '../policy-text.ts';

/**
 * A policy file of Tailscale's as headscale takes it. Who owns tags is said to it by name, since it knows no roles; and the file's own tests are
 * left out, since headscale fails one about a tag that no device has yet. Rules pass as they are.
 */
export function enforceable(text: string, administrator: string): string {
  const { tests, sshTests, tagOwners, ...rules } = policyJson(text) as Record<string, unknown>;
  return JSON.stringify({
    ...rules,
    ...(tagOwners !== undefined && { tagOwners: namedOwners(tagOwners, administrator) }),
  });
}

function namedOwners(tagOwners: unknown, administrator: string): Record<string, string[]> {
  if (typeof tagOwners !== 'object' || tagOwners === null)
    throw new TailscaleError(400, 'tagOwners must be an object');
  return Object.fromEntries(
    Object.entries(tagOwners).map(([tag, owners]) => {
      if (!Array.isArray(owners)) throw new TailscaleError(400, `tagOwners["${tag}"] must be a list`);
      const named = owners.map((owner) => (/^autogroup:/.test(owner) ? administrator : String(owner)));
      return [tag, [...new Set(named)]];
    }),
  );
}
