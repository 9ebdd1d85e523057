import { TailscaleError } from '../errors.ts';
import { parsePolicyText } from '../policy-text.ts';

/**
 * Converts a Tailscale policy file to one that headscale accepts. headscale knows no roles, so tag owners
 * become names. The file's own tests are left out, because headscale fails a test of a tag that no device has
 * yet. Rules stay as they are.
 */
export function toHeadscalePolicy(text: string, administrator: string): string {
  const { tests, sshTests, tagOwners, ...rules } = parsePolicyText(text) as Record<string, unknown>;
  return JSON.stringify({
    ...rules,
    ...(tagOwners !== undefined && { tagOwners: toNamedOwners(tagOwners, administrator) }),
  });
}

function toNamedOwners(tagOwners: unknown, administrator: string): Record<string, string[]> {
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
