import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEventStream } from '../support/event-stream.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { log, step, tell } from '../support/operation-progress.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

async function create(): Promise<{ operationId: string; agentId: string }> {
  const response = await service.ask('/api/agents', { json: { userId: 'user-1', region: 'eu-west' } });
  return (await response.json()) as { operationId: string; agentId: string };
}

const ids = (events: { id: string | undefined }[]) =>
  events.flatMap(({ id }) => (id === undefined ? [] : [Number(id)]));
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('the events of an operation', () => {
  it('arrive in order, then `end`, with their types and data', async () => {
    const { operationId } = await create();
    const response = await service.ask(`/api/operations/${operationId}/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reading = readEventStream(response);
    await tell(service.database, operationId, [step('creating_server'), log('one\ntwo')]);
    await tell(
      service.database,
      operationId,
      [{ type: 'status', data: { status: 'succeeded', attempt: 1 } }],
      'succeeded',
    );
    const events = await reading;
    expect(events).toMatchObject([
      { id: '1', event: 'status', data: { status: 'queued', attempt: 0 } },
      { id: '2', event: 'step', data: { step: 'creating_server', attempt: 1, at: expect.any(String) } },
      { id: '3', event: 'log', data: { line: 'one\ntwo' } },
      { id: '4', event: 'status', data: { status: 'succeeded' } },
      { id: undefined, event: 'end', data: { status: 'succeeded' } },
    ]);
  });

  it('arrive without gaps or duplicates over many broken connections, while more are appended', async () => {
    const { operationId } = await create();
    const total = 1_500;
    const appending = (async () => {
      for (let line = 2; line < total; line += 7) {
        const batch = Array.from({ length: Math.min(7, total - line) }, (_, index) =>
          log(`line ${line + index}`),
        );
        await tell(service.database, operationId, batch);
      }
      await tell(
        service.database,
        operationId,
        [{ type: 'status', data: { status: 'succeeded', attempt: 1 } }],
        'succeeded',
      );
    })();
    const received: number[] = [];
    let connections = 0;
    for (let ended = false; !ended; connections += 1) {
      const cut = new AbortController();
      // Disconnects after more and more events, resuming by header and by query in turn.
      const last = received.at(-1) ?? 0;
      const byHeader = connections % 2 === 0;
      const response = await service.ask(
        `/api/operations/${operationId}/events${byHeader ? '' : `?lastEventId=${last}`}`,
        { headers: byHeader ? { 'last-event-id': String(last) } : {}, signal: cut.signal },
      );
      const events = await readEventStream(response, (soFar) => soFar.length > 20 * connections);
      cut.abort();
      received.push(...ids(events));
      ended = events.at(-1)?.event === 'end';
    }
    await appending;
    expect(connections).toBeGreaterThan(5);
    expect(received).toEqual(upTo(total));
  });

  it('end at once for a finished operation, from the client’s position', async () => {
    const { operationId } = await create();
    await tell(service.database, operationId, [log('last')], 'succeeded');
    const from = async (id: number) =>
      readEventStream(
        await service.ask(`/api/operations/${operationId}/events`, {
          headers: { 'last-event-id': String(id) },
        }),
      );
    expect(ids(await from(0))).toEqual([1, 2]);
    expect(ids(await from(1))).toEqual([2]);
    expect(await from(2)).toMatchObject([{ event: 'end' }]);
    expect(await from(2_000_000_000)).toMatchObject([{ event: 'end' }]);
  });

  it('arrive without pauses if there are many, and up to now with follow=false', async () => {
    const { operationId } = await create();
    const lines = Array.from({ length: 1_299 }, (_, index) => log(`line ${index}`));
    await tell(service.database, operationId, lines);
    const path = `/api/operations/${operationId}/events`;
    const soFar = await readEventStream(await service.ask(`${path}?follow=false`));
    expect(ids(soFar)).toEqual(upTo(1_300));
    expect(soFar.at(-1)?.event).toBe('log');
    await tell(service.database, operationId, [], 'succeeded');
    expect(await readEventStream(await service.ask(path))).toHaveLength(1_301);
  });

  it('answer HEAD at once', async () => {
    const { operationId } = await create();
    for (const path of ['/api/events', `/api/operations/${operationId}/events`]) {
      expect((await service.ask(path, { method: 'HEAD' })).status).toBe(200);
    }
  });

  it.each(['-1', 'x', '1.5', '9999999999'])('cannot resume at %s', async (id) => {
    const { operationId } = await create();
    const path = `/api/operations/${operationId}/events`;
    expect((await service.ask(path, { headers: { 'last-event-id': id } })).status).toBe(400);
    expect((await service.ask(`${path}?lastEventId=${id}`)).status).toBe(400);
  });

  it('arrive after the listening connection was cut', async () => {
    const { operationId } = await create();
    const reading = readEventStream(await service.ask(`/api/operations/${operationId}/events`));
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'agent-stacks events'`.execute(
      service.database,
    );
    await tell(service.database, operationId, [log('while nobody listened')], 'succeeded');
    expect(ids(await reading)).toEqual([1, 2]);
    // The connection recovers by itself.
    await expect
      .poll(async () => {
        const { rows } = await sql`select 1 from pg_stat_activity
          where datname = current_database() and application_name = 'agent-stacks events'`.execute(
          service.database,
        );
        return rows.length;
      })
      .toBe(1);
  });
});

describe('the feed of all agents', () => {
  it('has steps and states of every operation once, with ids, and no log lines', async () => {
    const response = await service.ask('/api/events');
    const wanted = new Set<string>();
    const reading = readEventStream(
      response,
      (events) =>
        wanted.size > 0 && events.filter(({ data }) => wanted.has(String(data.operationId))).length >= 20,
    );
    const operations = await Promise.all(Array.from({ length: 5 }, create));
    for (const { operationId } of operations) wanted.add(operationId);
    await Promise.all(
      operations.map(async ({ operationId }) => {
        await tell(service.database, operationId, [step('creating_server'), log('noise')]);
        await tell(service.database, operationId, [step('verifying')]);
        await tell(
          service.database,
          operationId,
          [{ type: 'status', data: { status: 'succeeded', attempt: 1 } }],
          'succeeded',
        );
      }),
    );
    const events = await reading;
    expect(events[0]).toMatchObject({ event: 'open' });
    for (const { operationId, agentId } of operations) {
      const own = events.filter(({ data }) => data.operationId === operationId);
      expect(own).toMatchObject([
        { event: 'status', data: { status: 'queued', agentId, kind: 'provision', sequence: 1 } },
        { event: 'step', data: { step: 'creating_server', sequence: 2 } },
        { event: 'step', data: { step: 'verifying', sequence: 4 } },
        { event: 'status', data: { status: 'succeeded', sequence: 5 } },
      ]);
    }
  });
});
