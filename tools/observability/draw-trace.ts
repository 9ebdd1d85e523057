import type { Ledger } from '../../src/operations/ledger.ts';
import type { Trace, TraceSpan } from '../../src/telemetry/span.ts';

const WIDTH = 1100;
const LABELS = 400;
const SECONDS = 70;
const ROW = 17;
const TOP = 54;
const BOTTOM = 16;

/** What is too short to be seen is left out of the picture, but counted below its parent. */
const SHORTEST_SHARE = 0.002;

interface Row {
  span: TraceSpan;
  depth: number;
  leftOut: number;
}

/** Draws a trace as an SVG: a bar a span, to scale, each below its parent. It can be read without colour. */
export function drawTrace({ traceId, spans }: Trace, ledger: Ledger): string {
  const begin = Math.min(...spans.map(({ startedAt }) => startedAt.getTime()));
  const end = Math.max(...spans.map(({ endedAt }) => endedAt.getTime()));
  const scale = (WIDTH - LABELS - SECONDS) / (end - begin);
  const rows = toRows(spans, undefined, 0, (end - begin) * SHORTEST_SHARE);
  const height = TOP + rows.length * ROW + BOTTOM;
  const bars = rows.map((row, index) => drawRow(row, TOP + index * ROW, begin, scale));
  const title = `One purchase: ${ledger.seconds?.toFixed(2)} s from Stripe’s event to the running agent`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title">
<title id="title">${title}</title>
<style>
text { font: 11px ui-sans-serif, system-ui, sans-serif; fill: #1f2933 }
.title { font-size: 15px; font-weight: 600 } .quiet, .seconds { fill: #52606d }
.bar { fill: #3b6ea8 } .wait { fill: #c8d1dc } .resource { fill: #6b4fa0 } .task { fill: #2f855a } .error { fill: #b83232 }
.grid { stroke: #e4e7eb }
</style>
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<text class="title" x="12" y="22">${title}</text>
<text class="quiet" x="12" y="40">trace ${traceId}, ${spans.length} spans, on a real machine of the sandbox</text>
${grid(end - begin, scale, height)}
${bars.join('\n')}
</svg>
`;
}

/** The spans in the order of a tree, siblings by their start. */
function toRows(
  spans: readonly TraceSpan[],
  parentId: string | undefined,
  depth: number,
  shortestMs: number,
): Row[] {
  const children = spans
    .filter((span) => span.parentId === parentId)
    .sort((a, b) => a.startedAt.getTime() - b.startedAt.getTime());
  const isLong = (span: TraceSpan) => lengthOf(span) >= shortestMs || depth < 3;
  return children.filter(isLong).flatMap((span) => {
    const below = toRows(spans, span.spanId, depth + 1, shortestMs);
    const own = spans.filter((one) => one.parentId === span.spanId);
    const leftOut = own.length - below.filter((row) => row.depth === depth + 1).length;
    return [{ span, depth, leftOut }, ...below];
  });
}

const lengthOf = ({ startedAt, endedAt }: TraceSpan) => endedAt.getTime() - startedAt.getTime();

function drawRow({ span, depth, leftOut }: Row, y: number, begin: number, scale: number): string {
  const x = LABELS + (span.startedAt.getTime() - begin) * scale;
  const width = Math.max(1, lengthOf(span) * scale);
  const more = leftOut > 0 ? ` (and ${leftOut} shorter)` : '';
  const label = toXml(cut(`${span.name}${more}`, 62 - 2 * depth));
  const seconds = (lengthOf(span) / 1000).toFixed(lengthOf(span) < 100 ? 3 : 2);
  return [
    `<text x="${12 + depth * 12}" y="${y + 12}">${label}</text>`,
    `<rect class="${classOf(span)}" x="${x.toFixed(1)}" y="${y + 3}" width="${width.toFixed(1)}" height="${ROW - 5}"/>`,
    `<text class="seconds" x="${(x + width + 4).toFixed(1)}" y="${y + 12}">${seconds} s</text>`,
  ].join('');
}

function classOf({ name, isError, attributes }: TraceSpan): string {
  if (isError) return 'error';
  if (name === 'queued' || name === 'waiting_to_retry' || name === 'received') return 'wait';
  const kind = attributes['agent_stacks.task.kind'];
  if (kind === 'resource' || kind === 'run') return 'resource';
  return kind === 'task' || kind === 'play' ? 'task' : 'bar';
}

/** A line at each full second, or at each five of a long trace. */
function grid(milliseconds: number, scale: number, height: number): string {
  const step = milliseconds > 20_000 ? 5_000 : 1_000;
  const lines: string[] = [];
  for (let at = 0; at <= milliseconds; at += step) {
    const x = (LABELS + at * scale).toFixed(1);
    lines.push(
      `<line class="grid" x1="${x}" x2="${x}" y1="${TOP - 4}" y2="${height - BOTTOM}"/>`,
      `<text class="quiet" x="${x}" y="${height - 4}">${at / 1000} s</text>`,
    );
  }
  return lines.join('\n');
}

const cut = (text: string, longest: number) =>
  text.length <= longest ? text : `${text.slice(0, longest - 1)}…`;

const toXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
