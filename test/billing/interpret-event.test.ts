import { describe, expect, it } from 'vitest';
import { interpretEvent } from '../../src/billing/interpret-event.ts';
import { InvalidInputError } from '../../src/errors.ts';
import { parseStripeEvent, type StripeEvent } from '../../src/stripe/event.ts';

const metadata = { agentId: 'agent-1', userId: 'user-1', region: 'ap-southeast' };

function event(session: object = {}, more: object = {}): StripeEvent {
  const object = { id: 'cs_1', object: 'checkout.session', payment_status: 'paid', metadata, ...session };
  return parseStripeEvent(
    JSON.stringify({
      id: 'evt_1',
      object: 'event',
      type: 'checkout.session.completed',
      data: { object },
      ...more,
    }),
  );
}

describe('interpretEvent', () => {
  it('provisions a paid order in the purchased plan, or the smallest', () => {
    expect(interpretEvent(event({ subscription: 'sub_1', customer: 'cus_1' }), 'sandbox')).toEqual({
      kind: 'provision',
      order: { sessionId: 'cs_1', subscriptionId: 'sub_1', customerId: 'cus_1', metadata },
      agent: { ...metadata, location: 'sin', plan: 'starter', subscriptionId: 'sub_1' },
    });
    expect(interpretEvent(event({ metadata: { ...metadata, plan: 'max' } }), 'sandbox')).toMatchObject({
      agent: { plan: 'max' },
    });
    const priced = interpretEvent(event({ metadata: { ...metadata, plan: 'max' } }), 'sandbox', {
      metadata: false,
    });
    expect(priced).toMatchObject({ kind: 'provision', agent: { plan: 'starter' } });
    expect(interpretEvent(event({ metadata: { ...metadata, plan: '' } }), 'sandbox')).toMatchObject({
      agent: { plan: 'starter' },
    });
  });

  it('reads expanded references, and ignores malformed ones', () => {
    const decision = interpretEvent(
      event({ subscription: { id: 'sub_2', object: 'subscription' }, customer: 7 }),
      'sandbox',
    );
    expect(decision).toMatchObject({ order: { subscriptionId: 'sub_2', customerId: undefined } });
  });

  it.each([
    ['paid', 'checkout.session.completed', 'provision'],
    ['no_payment_required', 'checkout.session.completed', 'provision'],
    ['unpaid', 'checkout.session.completed', 'ignore'],
    ['paid', 'checkout.session.async_payment_succeeded', 'provision'],
    ['unpaid', 'checkout.session.async_payment_failed', 'ignore'],
    ['paid', 'checkout.session.expired', 'ignore'],
    ['paid', 'customer.subscription.deleted', 'ignore'],
  ])('%s with %s → %s', (payment_status, type, kind) => {
    expect(interpretEvent(event({ payment_status }, { type }), 'sandbox').kind).toBe(kind);
  });

  it.each([undefined, null, 7, 'processing', 'PAID', '', [], {}, true])(
    'payment_status %j is not paid',
    (payment_status) => {
      expect(interpretEvent(event({ payment_status }), 'sandbox')).toMatchObject({
        kind: 'ignore',
        reason: expect.stringContaining('is not paid'),
      });
    },
  );

  it.each([
    ['subscription', 'provision'],
    ['payment', 'provision'],
    [undefined, 'provision'],
    ['setup', 'ignore'],
    ['deferred', 'attention'],
    [null, 'attention'],
    [7, 'attention'],
    [['payment'], 'attention'],
  ])('mode %j → %s', (mode, kind) => {
    const payment_status = mode === 'setup' ? 'no_payment_required' : 'paid';
    expect(interpretEvent(event({ mode, payment_status }), 'sandbox').kind).toBe(kind);
  });

  it('ignores events of connected accounts, whatever they name', () => {
    for (const account of ['acct_1', 7, {}, ''])
      expect(interpretEvent(event({}, { account }), 'sandbox')).toMatchObject({
        kind: 'ignore',
        reason: expect.stringContaining('connected account'),
      });
    expect(interpretEvent(event({}, { account: null }), 'sandbox').kind).toBe('provision');
  });

  it('explains how to get snapshot events instead of a thin event', () => {
    const thin = event({}, { object: 'v2.core.event', data: undefined, created: '2026-09-17T06:20:52.246Z' });
    expect(thin).toMatchObject({ object: undefined, createdAt: new Date('2026-09-17T06:20:52.246Z') });
    expect(interpretEvent(thin, 'sandbox')).toMatchObject({
      kind: 'ignore',
      reason: expect.stringContaining('snapshot'),
    });
  });

  it.each([undefined, null, 7, 'x', [], {}, true, '\u0000', 1e308])(
    'a paid session with %j in any field loses no order and breaks nothing',
    (odd) => {
      const whole = { mode: 'payment', subscription: 'sub_1', customer: 'cus_1', metadata };
      for (const field of Object.keys(whole)) {
        const { kind } = interpretEvent(event({ ...whole, [field]: odd }), 'sandbox');
        expect({ field, kind }).toEqual({ field, kind: expect.stringMatching(/^(provision|attention)$/) });
      }
      for (const field of Object.keys(metadata)) {
        const { kind } = interpretEvent(event({ metadata: { ...metadata, [field]: odd } }), 'sandbox');
        expect(kind).toMatch(/^(provision|attention)$/);
      }
      for (const field of ['created', 'livemode', 'api_version', 'request', 'pending_webhooks'])
        expect(interpretEvent(event({}, { [field]: odd }), 'sandbox').kind).toBe('provision');
    },
  );

  it('acts only on live events in live mode', () => {
    expect(interpretEvent(event({}, { livemode: false }), 'live').kind).toBe('ignore');
    expect(interpretEvent(event(), 'live').kind).toBe('ignore');
    expect(interpretEvent(event({}, { livemode: true }), 'live').kind).toBe('provision');
  });

  it('names every invalid field', () => {
    expect(interpretEvent(event({ metadata: { agentId: 'A', region: 'x' } }), 'sandbox')).toMatchObject({
      kind: 'attention',
      reason: expect.stringMatching(
        /^metadata\.agentId .*; metadata\.userId is missing; metadata\.region is unknown/,
      ),
    });
  });

  it('finds no checkout in an object without an id', () => {
    expect(() => interpretEvent(event({ id: undefined }), 'sandbox')).toThrow(InvalidInputError);
  });
});
