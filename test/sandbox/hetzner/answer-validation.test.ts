import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { faultBody } from '../../../sandbox/fault-answers.ts';
import { openAnswerSchemas } from '../../../sandbox/hetzner/answer-schemas.ts';
import { validateAnswers } from '../../../sandbox/hetzner/answer-validation.ts';
import { request, startCloud } from '../../support/sandbox-hetzner.ts';

const { check } = await openAnswerSchemas();

test('answers are counted, and the sandbox shows that all of them match', async () => {
  const cloud = await startCloud();
  await cloud.call('GET', '/servers');
  await cloud.call('GET', '/servers/1');
  const shown = await cloud.control('GET', '/hetzner/violations');
  expect(shown.body).toEqual({ checked: 2, violations: [] });
});

test('an answer that does not match is sent unchanged, and recorded', async () => {
  const cloud = await startCloud({}, { expectViolations: true });
  const app = express();
  app.use(validateAnswers(cloud.database));
  app.get('/locations', (_request, response) => {
    response.json({ locations: [{ id: 'one' }], meta: {} });
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/locations`;
  const answer = await request(url, 'GET', undefined, {});
  expect(answer).toMatchObject({ status: 200, body: { locations: [{ id: 'one' }] } });
  const { checked, violations } = (await cloud.control('GET', '/hetzner/violations')).body;
  expect(checked).toBe(1);
  expect(violations).toContainEqual({
    at: expect.any(String),
    method: 'GET',
    path: '/locations',
    status: 200,
    problem: '/locations/0/id must be integer',
  });
});

test.each([
  ['a missing field', 'GET', '/ssh_keys/1', 200, '{"ssh_key":{"id":1}}'],
  ['an undocumented status', 'GET', '/ssh_keys/1', 201, '{}'],
  ['an unexpected body', 'DELETE', '/ssh_keys/1', 204, '{}'],
  ['no JSON', 'GET', '/servers', 200, 'hello'],
  ['an error without a code', 'GET', '/servers', 404, '{"error":{"message":"gone"}}'],
  ['a call that does not exist', 'GET', '/nothing', 200, '{}'],
  ['an unknown status of a server', 'GET', '/actions/1', 200, '{"action":{"id":1,"status":"done"}}'],
])('%s is detected', (_what, method, path, status, body) => {
  expect(check(method, path, status, body).problems).not.toEqual([]);
});

test.each([401, 403, 409, 412, 423, 429, 500, 502, 503, 418])(
  'the body of an ordered %d is one that Hetzner could send',
  (status) => {
    const body = JSON.stringify(faultBody('hetzner', status));
    expect(check('POST', '/servers', status, body)).toEqual({ checked: true, problems: [] });
  },
);
