import { expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { accountInKey } from '../../src/stripe/account.ts';

const of = (key: string) => accountInKey(new Secret(key));

test('secret and restricted keys of an account give the same identity, and test mode another one', () => {
  const body = '51HexampleAccount7REST';
  expect(of(`rk_live_${body}`)).toEqual(of(`sk_live_${body}-of-another-key`));
  expect(of(`sk_live_${body}`)).toEqual({ mode: 'live', text: '51HexampleAccoun' });
  expect(of(`sk_test_${body}`).mode).toBe('test');
  expect(of('sk_live_51OtherAccount')).not.toEqual(of(`sk_live_${body}`));
});
