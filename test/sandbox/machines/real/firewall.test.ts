import { expect, test } from 'vitest';
import type { FirewallRule } from '../../../../sandbox/hetzner/firewalls/rules.ts';
import { toRuleset } from '../../../../sandbox/machines/real/firewall.ts';

const rule = (change: Partial<FirewallRule>): FirewallRule => ({
  description: null,
  direction: 'in',
  protocol: 'udp',
  port: '41641',
  source_ips: [],
  destination_ips: [],
  ...change,
});

/** The lines of a chain. */
function chain(ruleset: string, name: string): string[] {
  const [, body = ''] = ruleset.split(`  chain ${name} {\n`);
  return body.slice(0, body.indexOf('  }')).trim().split(/\n\s*/);
}

test('incoming traffic is dropped unless a rule allows it; outgoing traffic is allowed', () => {
  const ruleset = toRuleset([{ id: 7, rules: [rule({ source_ips: ['0.0.0.0/0', '::/0'] })] }]);
  expect(chain(ruleset, 'in-7')).toEqual([
    'ip saddr 0.0.0.0/0 udp dport 41641 return',
    'ip6 saddr ::/0 udp dport 41641 return',
    'drop',
  ]);
  expect(chain(ruleset, 'out-7')).toEqual(['']);
  // Traffic between machines passes the sender's rules before the receiver's. Either may refuse it.
  expect(chain(ruleset, 'forward').slice(-2)).toEqual(['iifname "m7" jump out-7', 'oifname "m7" jump in-7']);
  expect(chain(ruleset, 'output')).toContain('oifname "m7" jump in-7');
  expect(chain(ruleset, 'input').slice(-2)).toEqual([
    'ip daddr 169.254.169.254 accept',
    'iifname "m7" jump out-7',
  ]);
});

test('a rule for outgoing traffic blocks all other outgoing traffic', () => {
  const out = rule({ direction: 'out', protocol: 'tcp', port: '80-443', destination_ips: ['192.0.2.0/24'] });
  const ruleset = toRuleset([{ id: 7, rules: [out] }]);
  expect(chain(ruleset, 'out-7')).toEqual(['ip daddr 192.0.2.0/24 tcp dport 80-443 return', 'drop']);
  expect(chain(ruleset, 'in-7')).toEqual(['drop']);
});

test.each<[Partial<FirewallRule>, string]>([
  [{ protocol: 'tcp', port: 'any' }, 'meta l4proto tcp'],
  [{ protocol: 'icmp', port: null }, 'meta l4proto icmp'],
  [{ protocol: 'esp', port: null }, 'meta l4proto esp'],
  [{ protocol: 'gre', port: null }, 'meta l4proto gre'],
])('%o', (change, words) => {
  const ruleset = toRuleset([{ id: 7, rules: [rule({ source_ips: ['0.0.0.0/0'], ...change })] }]);
  expect(chain(ruleset, 'in-7')[0]).toBe(`ip saddr 0.0.0.0/0 ${words} return`);
});

test('a server without a firewall is open; one with a firewall without rules is closed', () => {
  const ruleset = toRuleset([
    { id: 7, rules: undefined },
    { id: 8, rules: [] },
  ]);
  expect(ruleset).not.toContain('m7');
  expect(chain(ruleset, 'in-8')).toEqual(['drop']);
});
