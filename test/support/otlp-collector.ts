import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as a collector receives it. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  /** As OTLP numbers them: 1 internal, 2 server. */
  kind: number;
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  isError: boolean;
  attributes: Record<string, unknown>;
}

export interface ReceivedMetric {
  name: string;
  unit: string;
  type: 'gauge' | 'sum' | 'histogram';
  // biome-ignore lint/suspicious/noExplicitAny: points are judged by the tests' expectations.
  dataPoints: any[];
}

/** An OpenTelemetry collector that takes OTLP over HTTP as JSON, and remembers. */
export interface Collector {
  endpoint: string;
  spans: ReceivedSpan[];
  metrics: ReceivedMetric[];
  /** The resources of everything that was received. */
  resources: Record<string, unknown>[];
  /** Requests, refused ones too. */
  requests: { url: string; headers: Record<string, unknown> }[];
  /** `down`: answers 503; `silent`: answers never; `up`: takes everything. */
  become(state: 'up' | 'down' | 'silent'): void;
  /** From now on a request with this text in it gets that status; an empty text: none does. */
  refuse(text: string, status: number): void;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: the request is checked by its use.
type Json = any;

export async function startCollector(): Promise<Collector> {
  let state = 'up';
  let refused = { text: '', status: 0 };
  const spans: ReceivedSpan[] = [];
  const metrics: ReceivedMetric[] = [];
  const resources: Record<string, unknown>[] = [];
  const requests: Collector['requests'] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    requests.push({ url: request.url ?? '', headers: request.headers });
    if (state === 'silent') return;
    if (state === 'down') return void response.writeHead(503).end();
    const received = Buffer.concat(chunks).toString();
    if (refused.text !== '' && received.includes(refused.text))
      return void response.writeHead(refused.status).end();
    const body: Json = JSON.parse(received);
    for (const { resource } of body.resourceSpans ?? body.resourceMetrics ?? [])
      resources.push(toAttributes(resource.attributes));
    spans.push(...toSpans(body));
    metrics.push(...toMetrics(body));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    metrics,
    resources,
    requests,
    become: (next) => {
      state = next;
    },
    refuse: (text, status) => {
      refused = { text, status };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function toAttributes(attributes: Json[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

const toMs = (nanoseconds: string) => Number(BigInt(nanoseconds) / 1_000n) / 1_000;

function toSpans(body: Json): ReceivedSpan[] {
  const all: Json[] = (body.resourceSpans ?? []).flatMap(({ scopeSpans }: Json) =>
    scopeSpans.flatMap(({ spans }: Json) => spans),
  );
  return all.map((span) => ({
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId,
    name: span.name,
    kind: span.kind,
    start: toMs(span.startTimeUnixNano),
    end: toMs(span.endTimeUnixNano),
    isError: span.status?.code === 2,
    attributes: toAttributes(span.attributes),
  }));
}

function toMetrics(body: Json): ReceivedMetric[] {
  const all: Json[] = (body.resourceMetrics ?? []).flatMap(({ scopeMetrics }: Json) =>
    scopeMetrics.flatMap(({ metrics }: Json) => metrics),
  );
  return all.map((metric) => {
    const type = (['gauge', 'sum', 'histogram'] as const).find((one) => metric[one] !== undefined)!;
    return { name: metric.name, unit: metric.unit, type, dataPoints: metric[type].dataPoints };
  });
}

/** The seconds of each step of a trace: of the spans that account for the operation's time. */
export function secondsBySteps(spans: readonly ReceivedSpan[]): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const { start, end, attributes } of spans) {
    const step = attributes['agent_stacks.ledger.step'];
    if (typeof step === 'string') seconds[step] = (seconds[step] ?? 0) + (end - start) / 1000;
  }
  return seconds;
}
