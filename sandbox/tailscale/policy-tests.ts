import { SANDBOX_USER } from './identity.ts';

/** A test in a policy file: `src` must reach every address in `accept` and none in `deny`. */
export interface PolicyTest {
  src: string;
  accept: string[];
  deny: string[];
}

/** A failed test in the form that Tailscale reports. */
export interface FailedTest {
  user: string;
  errors: string[];
}

interface Names {
  groups: Record<string, string[]>;
  hosts: Record<string, string>;
}

/** The parts of a policy that decide which connections are allowed. */
export interface Rules extends Names {
  acls: { src: string[]; dst: string[] }[];
  grants: { src: string[]; dst: string[]; ip: string[] }[];
}

/** Runs tests against the rules of a policy and returns those that fail. */
export function failedTests(policy: Rules, tests: readonly PolicyTest[]): FailedTest[] {
  return tests.flatMap(({ src, accept, deny }) => {
    const errors = [
      ...accept
        .filter((address) => !reaches(policy, src, address))
        .map((address) => complaint(address, true)),
      ...deny.filter((address) => reaches(policy, src, address)).map((address) => complaint(address, false)),
    ];
    return errors.length === 0 ? [] : [{ user: src, errors }];
  });
}

function complaint(address: string, wanted: boolean): string {
  const [want, got] = wanted ? ['Accept', 'Drop'] : ['Drop', 'Accept'];
  return `address "${address}": want: ${want}, got: ${got}`;
}

function reaches(policy: Rules, src: string, address: string): boolean {
  const { host, ports } = splitAddress(address);
  const byAcl = policy.acls.some(
    (rule) =>
      rule.src.some((name) => includes(policy, name, src)) &&
      rule.dst.some((target) => {
        const allowed = splitAddress(target);
        return includes(policy, allowed.host, host) && hasPort(allowed.ports, ports);
      }),
  );
  const byGrant = policy.grants.some(
    (rule) =>
      rule.src.some((name) => includes(policy, name, src)) &&
      rule.dst.some((name) => includes(policy, name, host)) &&
      rule.ip.some((allowed) => hasPort(allowed.replace(/^(tcp|udp):/, ''), ports)),
  );
  return byAcl || byGrant;
}

/** Splits at the last colon: in `tag:agent:22,80` the host contains a colon too. */
function splitAddress(address: string): { host: string; ports: string } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at), ports: address.slice(at + 1) };
}

/** Whether a name in a rule covers this user, tag or address. */
function includes({ groups, hosts }: Names, name: string, who: string): boolean {
  if (name === '*' || name === who) return true;
  if (name === 'autogroup:tagged') return who.startsWith('tag:');
  if (name === 'autogroup:member') return who.includes('@');
  if (/^autogroup:(admin|owner|network-admin)$/.test(name)) return who === SANDBOX_USER.loginName;
  if (name.startsWith('group:')) return groups[name]?.includes(who) ?? false;
  return hosts[name] === who || (hosts[name] !== undefined && hosts[name] === hosts[who]);
}

/** Whether `allowed` (`*`, `22`, `22,80`, `8000-8100`) contains one port. */
function hasPort(allowed: string, wanted: string): boolean {
  if (allowed === '*') return true;
  const port = Number(wanted);
  return allowed.split(',').some((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return port >= first! && port <= last!;
  });
}
