import type { FirewallRule } from '../../hetzner/firewalls/rules.ts';
import { METADATA_ADDRESS } from './addresses.ts';
import { linkName } from './machine.ts';
import type { DesiredServer } from './servers.ts';

type FirewalledServer = Pick<DesiredServer, 'id' | 'rules'>;

/**
 * Returns Hetzner's firewalls as nftables rules for the namespace that routes all packets of the machines.
 * Established connections pass. Other incoming packets pass only if a rule allows them; outgoing ones pass
 * unless a rule limits them. A server without a firewall is open.
 */
export function toRuleset(servers: readonly FirewalledServer[]): string {
  const guarded = servers.filter((server) => server.rules !== undefined);
  const leave = guarded.map(({ id }) => `    iifname "${linkName(id)}" jump out-${id}`);
  const arrive = guarded.map(({ id }) => `    oifname "${linkName(id)}" jump in-${id}`);
  return [
    'table inet firewalls',
    'delete table inet firewalls',
    'table inet firewalls {',
    ...guarded.flatMap(({ id, rules = [] }) => [...chain(id, rules, 'in'), ...chain(id, rules, 'out')]),
    // Between machines, from the network's own address to a machine, and from a machine to it or to the
    // metadata.
    ...hook('forward', [...leave, ...arrive]),
    ...hook('output', arrive),
    ...hook('input', [`    ip daddr ${METADATA_ADDRESS} accept`, ...leave]),
    '}',
    '',
  ].join('\n');
}

function hook(name: string, lines: readonly string[]): string[] {
  return [
    `  chain ${name} {`,
    `    type filter hook ${name} priority filter; policy accept;`,
    '    ct state established,related accept',
    '    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
    ...lines,
    '  }',
  ];
}

function chain(id: number, rules: readonly FirewallRule[], direction: 'in' | 'out'): string[] {
  const own = rules.filter((rule) => rule.direction === direction);
  // Without an outgoing rule, all outgoing packets pass.
  const rest = direction === 'in' || own.length > 0 ? ['    drop'] : [];
  return [`  chain ${direction}-${id} {`, ...own.flatMap(toLines), ...rest, '  }'];
}

function toLines(rule: FirewallRule): string[] {
  const ranges = rule.direction === 'in' ? rule.source_ips : rule.destination_ips;
  const field = rule.direction === 'in' ? 'saddr' : 'daddr';
  return ranges.map((range) => {
    const family = range.includes(':') ? 'ip6' : 'ip';
    return `    ${family} ${field} ${range} ${toProtocolMatch(rule, family)} return`;
  });
}

function toProtocolMatch({ protocol, port }: FirewallRule, family: 'ip' | 'ip6'): string {
  if (protocol === 'icmp') return `meta l4proto ${family === 'ip' ? 'icmp' : 'icmpv6'}`;
  if (protocol === 'esp' || protocol === 'gre') return `meta l4proto ${protocol}`;
  return port === 'any' || port === null ? `meta l4proto ${protocol}` : `${protocol} dport ${port}`;
}
