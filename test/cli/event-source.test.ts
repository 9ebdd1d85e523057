import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { ApiClient } from '../../client/client.ts';
import { ServiceAway } from '../../src/cli/connection.ts';
import { operationEvents } from '../../src/cli/event-source.ts';

/** A service whose connections send these chunks, one list a connection; `null` breaks the connection. */
function setup(connections: (string | null)[][]) {
  const asked: (string | undefined)[] = [];
  const GET = async (_path: string, { params }: { params: { header: { 'last-event-id': number } } }) => {
    asked.push(String(params.header['last-event-id']));
    const chunks = connections.shift();
    if (chunks === undefined) throw new ServiceAway('away');
    return { data: ReadableStream.from(send(chunks)), response: new Response() };
  };
  const client = { GET } as unknown as ApiClient;
  const read = async (follow: boolean) => {
    const events = [];
    for await (const event of operationEvents(client, 'operation-1', follow)) events.push(event);
    return events;
  };
  return { asked, read };
}

async function* send(chunks: (string | null)[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    // What came before is read by then: a stream that breaks throws away what is still queued.
    await pause(chunk === null ? 50 : 0);
    if (chunk === null) throw new TypeError('terminated');
    yield Buffer.from(chunk, 'latin1');
  }
}

const bytes = (text: string) => Buffer.from(text).toString('latin1');

test('events are read wherever their text is cut, also within a letter; comments are none', async () => {
  const text = bytes(
    ': alive\n\nid: 1\nevent: log\ndata: {"line":"größer: 3"}\n\nid: 2\r\ndata: {"step":"a"}\r\n\r\n',
  );
  for (let cut = 1; cut < text.length; cut += 1) {
    const { read } = setup([[text.slice(0, cut), text.slice(cut)]]);
    expect(await read(false), `cut at ${cut}`).toEqual([
      { event: 'log', data: { line: 'größer: 3' } },
      { event: 'message', data: { step: 'a' } },
    ]);
  }
});

test('an event that was cut off is not taken; the next connection goes on after the last whole one', async () => {
  const { asked, read } = setup([
    ['id: 1\nevent: log\ndata: {"line":"one"}\n\nid: 2\nevent: log\ndata: {"li'],
    ['id: 2\nevent: log\ndata: {"line":"two"}\n\n', null],
    ['id: 3\nevent: end\ndata: {}\n\n'],
  ]);
  expect(await read(true)).toEqual([
    { event: 'log', data: { line: 'one' } },
    { event: 'log', data: { line: 'two' } },
  ]);
  expect(asked).toEqual(['0', '1', '2']);
});

test('an answer that is no event of ours ends it with an error', async () => {
  const { read } = setup([['data: {broken\n\n']]);
  await expect(read(true)).rejects.toThrow(SyntaxError);
});
