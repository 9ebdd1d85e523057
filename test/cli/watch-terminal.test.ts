import { spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';

const whyNot = spawnSync('script', ['--version']).error === undefined ? undefined : 'no script (util-linux)';
const ESCAPE = String.fromCharCode(27);
/** One thing that a terminal obeys, or one character. */
const TOKEN = new RegExp(`${ESCAPE}\\[[0-9;?]*[A-Za-z]|[^]`, 'gu');
const COLOUR = new RegExp(`${ESCAPE}\\[[0-9;]*m`);
const ROWS = 12;
const AGENTS = 20;

let service: TestService;
beforeEach(({ skip }) => skip(whyNot !== undefined, whyNot));
beforeAll(async () => {
  service = await startService();
  for (let index = 0; index < AGENTS; index += 1)
    await service.ask('/api/agents', {
      json: { agentId: `an-agent-with-a-name-${index}`, userId: 'u', region: 'eu-west' },
    });
});
afterAll(() => service?.stop());

/** What a terminal of this size shows after these bytes, and where it would have scrolled. */
function show(bytes: string, columns: number): { lines: string[]; scrolled: number; widest: number } {
  const lines: string[] = [''];
  let [row, column, scrolled, widest] = [0, 0, 0, 0];
  for (const [token] of bytes.matchAll(TOKEN)) {
    lines[row] ??= '';
    if (token === '\u001b[H') [row, column] = [0, 0];
    else if (token === '\u001b[K') lines[row] = lines[row]!.slice(0, column);
    else if (token === '\u001b[J') lines.splice(row, lines.length, lines[row]!.slice(0, column));
    else if (token === '\r') column = 0;
    else if (token === '\n') row += 1;
    else if (!token.startsWith('\u001b')) {
      lines[row] = `${lines[row]!.padEnd(column).slice(0, column)}${token}${lines[row]!.slice(column + 1)}`;
      column += 1;
      widest = Math.max(widest, column);
    }
    scrolled = Math.max(scrolled, row - (ROWS - 1));
  }
  expect(widest).toBeLessThanOrEqual(columns);
  return { lines: lines.map((line) => line.trimEnd()), scrolled, widest };
}

/** Runs `agents watch` in a terminal, as a person's shell does. */
function watchIn(columns: number, variables: NodeJS.ProcessEnv = {}) {
  const commands = [
    `stty cols ${columns} rows ${ROWS}`,
    'trap : INT',
    `'${process.execPath}' src/cli/agents.ts watch`,
    'echo "ended with $?"',
    'stty -a',
  ].join('; ');
  const child = spawn('script', ['-qec', commands, '/dev/null'], {
    env: {
      PATH: process.env.PATH,
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      PUBLIC_URL: service.url,
      API_TOKEN,
      ...variables,
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return { child, said: () => said, ended };
}

test.each([80, 120])(
  'in %i columns: redrawn in its place, and Ctrl-C leaves a clean terminal',
  async (columns) => {
    const { child, said, ended } = watchIn(columns);
    const frames = () => said().split('\u001b[H').length - 1;
    await eventually('it was drawn twice', () => frames() >= 2, { withinSeconds: 60, describe: said });
    const drawn = said();
    const { lines, scrolled } = show(drawn.slice(drawn.indexOf('\u001b[H')), columns);
    expect(scrolled).toBe(0);
    expect(lines[0]).toMatch(/^AGENT +STATUS/);
    expect(lines[1]).toMatch(/^an-agent-with-a-name-19 +requested/);
    expect(lines).toContain(`… and ${AGENTS - (ROWS - 3 - 2)} more`);
    expect(lines.at(-2)).toMatch(/Ctrl-C ends it$/);
    expect(drawn).toContain('\u001b[33mrequested');

    child.stdin.write('\u0003');
    await ended;
    const after = said().slice(said().lastIndexOf('\u001b[H'));
    const end = show(after, 10_000).lines;
    expect(end.find((line) => line.startsWith('ended with'))).toBe('ended with 0');
    // Nothing of an error, and the terminal is as it was: it echoes, and its cursor is shown.
    expect(after).not.toMatch(/Error|at .*\.ts/);
    expect(after).toMatch(/ icanon .* echo /s);
    expect(said()).not.toContain('\u001b[?');
  },
  120_000,
);

test('with NO_COLOR there are no colours, and it is redrawn all the same', async () => {
  const { child, said, ended } = watchIn(100, { NO_COLOR: '1' });
  await eventually('it was drawn', () => said().includes('Ctrl-C ends it'), {
    withinSeconds: 60,
    describe: said,
  });
  child.stdin.write('\u0003');
  await ended;
  expect(said()).toContain('\u001b[H');
  expect(said()).not.toMatch(COLOUR);
  expect(said()).toContain('ended with 0');
}, 120_000);
