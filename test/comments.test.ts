import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PATIENT } from './support/patience.ts';

/** The formatter's line width. It wraps code but leaves comments alone, so this test holds them to the same width. */
const WIDTH = 110;
const FOLDERS = ['src', 'client', 'sandbox', 'stacks', 'tools', 'test', 'ansible', '.github'];
const root = fileURLToPath(new URL('..', import.meta.url));

/** Words that were replaced by the field's own terms, and what to write instead. */
const RETIRED: [RegExp, string][] = [
  [/survivor/i, 'orphan'],
  [/surroundings/i, 'location or mode'],
  [/bereft/i, 'the fault itself, such as "without database"'],
  [/needles?(?![a-z])/i, 'secret probes'],
  [/unwatched|worker\.look\b/, 'sweep.disabled, worker.poll_failed'],
  [/(?<![a-z])(?:test)?bed(?![a-z])|Beds?(?![a-z])/, 'fixtures'],
  [/(?<![a-z])stage(?![a-z])|Stage(?![a-z])/, 'fixtures'],
  [/(?<![a-z])worlds?(?![a-z])|Worlds?(?![a-z])/, 'fixtures'],
  [/(?<![a-z])plays(?![a-z])|scenario-plays|play-scenarios|playScenario/, 'scenarios'],
  [/createOpenFence|\bopenFence/, 'noFence, createLoginFence'],
  [/carryOut|carry-out/, 'what the function does, such as runAttempt'],
  [/(?:Tailnet|Host|Own|Controller|Claimed|Sweep|Headscale)Place\b/, 'TailnetNode, SweepCursor, slot'],
  [/\bwish(?:es)?\b|Wish(?:es)?\b/, 'mode'],
  [
    /(?:RUN|WORKER|RUNNER|INSTALLATION|SECRET)_MARK\b|(?:run|worker|installation|secret)Mark\b/,
    'process tag',
  ],
  [/\b(?:anew|lest)\b/i, 'again; so that … not'],
];

/** Lines that quote somebody else: GitHub's published example, and the name of a folder that earlier versions made. */
const QUOTED = ["'Hello, World!'", "join(dir, 'world')"];

interface Line {
  /** `file:line`. */
  at: string;
  text: string;
  isComment: boolean;
}

const sources = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name}`)
    .filter(
      (file) => /\.(?:ts|mjs|py|sh|yml)$/.test(file) && !/node_modules|test\/fixtures|client\/api/.test(file),
    ),
);

/** Marks each line that is a comment, ends in one, or stands in a Python docstring. */
function linesOf(file: string): Line[] {
  const isScript = /\.(?:py|sh|yml)$/.test(file);
  const isPython = file.endsWith('.py');
  let isDocstring = false;
  return readFileSync(join(root, file), 'utf8')
    .split('\n')
    .map((text, index) => {
      const toggles = isPython && text.split('"""').length % 2 === 0;
      const isComment =
        isDocstring ||
        (isPython && text.includes('"""')) ||
        (isScript ? /^\s*#|\s#\s/ : /^\s*(?:\/\/|\/?\*)|\s\/\/\s/).test(text);
      if (toggles) isDocstring = !isDocstring;
      return { at: `${file}:${index + 1}`, text, isComment };
    });
}

const isTooWide = ({ text, isComment }: Line) =>
  isComment && [...text].length > WIDTH && !/^\s*(?:\/\/|\*|#)?\s*https?:\/\/\S+$/.test(text);

function retiredWords({ at, text }: Line): string[] {
  if (QUOTED.some((quoted) => text.includes(quoted))) return [];
  return RETIRED.filter(([pattern]) => pattern.test(text)).map(
    ([pattern, instead]) => `${at} ${pattern.exec(text)![0]}: say ${instead}`,
  );
}

/** All but this file, which has to name the words. */
const revised = sources.filter((file) => file !== 'test/comments.test.ts');

test('comments fit the width of the code', PATIENT, () => {
  const wide = revised.flatMap(linesOf).filter(isTooWide);
  expect(wide.map(({ at }) => at)).toEqual([]);
});

test('retired words do not come back', PATIENT, () => {
  const names = revised.map((file) => ({ at: file, text: file, isComment: false }));
  expect([...names, ...revised.flatMap(linesOf)].flatMap(retiredWords)).toEqual([]);
});
