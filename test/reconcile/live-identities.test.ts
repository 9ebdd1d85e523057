import { expect, test } from 'vitest';
import { tailnetName } from '../../src/reconcile/live-identities.ts';

const device = (name: string, tags: string[] = []) => ({
  nodeId: name,
  name,
  hostname: 'h',
  addresses: [],
  tags,
});

test('a tailnet’s name is its devices’ domain: that of our devices first, otherwise the most common one', () => {
  expect(tailnetName([])).toBeUndefined();
  expect(tailnetName([device('bare')])).toBeUndefined();
  const shared = [device('x.other.ts.net'), device('y.other.ts.net')];
  expect(tailnetName([...shared, device('a.ours.ts.net', ['tag:agent'])])).toBe('ours.ts.net');
  expect(tailnetName([...shared, device('laptop.ours.ts.net')])).toBe('other.ts.net');
});
