import { expect, test } from 'vitest';
import type { Asked } from '../../src/cli/command.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import type { RekeyJson } from '../../src/http/rekey-json.ts';

const NOTHING = { agents: 0, slots: 0, images: 0, stacks: 0 };
const status = (changes: Partial<RekeyJson>): RekeyJson => ({
  state: 'none',
  waitsFor: [],
  left: NOTHING,
  problems: [],
  ...changes,
});

/** Runs the command against a service that answers these, one after the other. */
async function run(argv: string[], ...answers: RekeyJson[]): Promise<{ isFine: boolean; out: string }> {
  const lines: string[] = [];
  const api = { GET: async () => ({ data: answers.shift(), response: new Response() }) };
  const terminal = { api, print: (line: string) => void lines.push(line) } as unknown as Terminal;
  const parsed = (await parseCommand(argv)) as { asked: Asked };
  return { isFine: await parsed.asked.run(terminal), out: lines.join('\n') };
}

test('rekey names who lacks the new passphrase, what is left, and what can be taken out', async () => {
  const waiting = status({ state: 'waiting', waitsFor: ['vm:1 (--role api)'] });
  expect(await run(['rekey'], waiting)).toEqual({
    isFine: true,
    out: expect.stringMatching(/restart them with it:\n {2}vm:1 \(--role api\)$/),
  });
  const left = { agents: 3, slots: 1, images: 0, stacks: null };
  const moving = await run(['rekey'], status({ state: 'moving', left, problems: ['a stack is locked'] }));
  expect(moving.isFine).toBe(false);
  expect(moving.out).toMatch(/3 agents, 1 slots, 0 images, stacks not counted yet\n {2}! a stack is locked$/);
  expect((await run(['rekey'], status({ state: 'done' }))).out).toContain('PULUMI_CONFIG_PASSPHRASE_BEFORE');
  expect((await run(['rekey'], status({}))).out).toContain('docs/operating.md');
  const shown = await run(['rekey', '--json'], waiting);
  expect(JSON.parse(shown.out)).toEqual(waiting);
});

test('rekey --wait prints each change once, and ends when nothing needs the former passphrase', async () => {
  const moving = (stacks: number) => status({ state: 'moving', left: { ...NOTHING, stacks } });
  const { isFine, out } = await run(['rekey', '--wait'], moving(2), moving(2), status({ state: 'done' }));
  expect(isFine).toBe(true);
  expect(out.match(/2 stacks/g)).toHaveLength(1);
  expect(out).toContain('The passphrase is changed');
});
