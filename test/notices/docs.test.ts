import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NOTICE_TYPES } from '../../src/database/vocabulary.ts';
import { MAILED } from '../../src/notices/templates.ts';

/** The rows of the table of types: type and whom a mail goes to. */
const rows = [
  ...readFileSync('docs/notices.md', 'utf8').matchAll(/^\| `([a-z]+\.[a-z_]+)` .*\| (\w*) *\|$/gm),
]
  .map(([, type, reader]) => ({ type: type!, reader: reader! }))
  .filter(({ type }) => !type.startsWith('notice'));

test('docs/notices.md has every type of notice, in order', () => {
  expect(rows.map(({ type }) => type)).toEqual([...NOTICE_TYPES]);
});

test('docs/notices.md says whom each is mailed to', () => {
  for (const { type, reader } of rows) {
    const readers = Object.entries(MAILED).flatMap(([name, types]) =>
      types.some((mailed) => mailed === type) ? [name] : [],
    );
    // The operator gets an agent.running in one case only, which the text below the table tells.
    if (type === 'agent.running') expect(readers).toEqual(['operator', 'buyer']);
    else expect(readers.join(), type).toBe(reader);
  }
});
