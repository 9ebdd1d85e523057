import type { Caller } from './credentials.ts';
import { TailscaleError } from './errors.ts';
import { parsePolicyText } from './policy-text.ts';

/**
 * Throws Tailscale's 400 unless the policy file allows the caller to assign all these tags. A tag exists if
 * `tagOwners` defines it. The administrator, who owns the API key, owns every existing tag; an OAuth client
 * owns its own tags and those whose owners include one of them.
 * Source: https://tailscale.com/kb/1215/oauth-clients,
 * https://tailscale.com/kb/1337/policy-syntax#tag-owners
 */
export function requirePermittedTags(policyText: string, tags: readonly string[], caller: Caller): void {
  const owners = readTagOwners(policyText);
  const refused = tags.filter((tag) => !isPermitted(owners.get(tag), tag, caller));
  if (refused.length === 0) return;
  throw new TailscaleError(400, `requested tags [${refused.join(' ')}] are invalid or not permitted`);
}

function isPermitted(owners: readonly string[] | undefined, tag: string, caller: Caller): boolean {
  if (owners === undefined) return false;
  if (caller.tags === undefined) return true;
  return caller.tags.includes(tag) || caller.tags.some((own) => owners.includes(own));
}

function readTagOwners(policyText: string): Map<string, string[]> {
  const { tagOwners } = parsePolicyText(policyText) as { tagOwners?: unknown };
  if (typeof tagOwners !== 'object' || tagOwners === null) return new Map();
  return new Map(
    Object.entries(tagOwners).map(([tag, owners]) => [tag, Array.isArray(owners) ? owners.map(String) : []]),
  );
}
