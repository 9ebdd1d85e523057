import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { PATIENT } from './support/patience.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const LONGEST_FILE = 250;
const LARGEST_MEDIAN = 80;
const LONGEST_FUNCTION = 40;

/** Functions that are longer, and why they read better in one piece. */
const LONG_WITH_REASON: Record<string, string> = {
  'sandbox/host/connections.ts sandboxConnections': 'one object: every address and credential of the sandbox',
  'tools/faults/longer-scenarios.ts stallWorker':
    'a scenario reads best in one piece, in the order in which it happens',
  'tools/faults/rekey-scenario.ts changePassphrase': 'likewise',
};

const sourcesIn = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => join(folder, name));
const textOf = (file: string) => readFileSync(join(root, file), 'utf8');
const lineCount = (file: string) => textOf(file).trimEnd().split('\n').length;

/** Every function with its own lines, without those of functions inside it: a factory counts only its own. */
function functionsIn(file: string): { name: string; lines: number }[] {
  const source = ts.createSourceFile(file, textOf(file), ts.ScriptTarget.Latest, true);
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const found: { name: string; lines: number }[] = [];
  /** @returns the lines that functions at or below this node take. */
  const visit = (node: ts.Node): number => {
    let nested = 0;
    ts.forEachChild(node, (child) => {
      nested += visit(child);
    });
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return nested;
    const lines = lineAt(node.end) - lineAt(node.getStart()) + 1;
    found.push({ name: `${file} ${nameOf(node, source)}`, lines: lines - nested });
    // A function within one line of another takes none of its lines.
    return Math.max(0, lines - 1);
  };
  visit(source);
  return found;
}

function nameOf(node: ts.SignatureDeclaration, source: ts.SourceFile): string {
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name : undefined);
  return named?.getText(source) ?? 'anonymous';
}

test('no file of src is longer than 250 lines, and half of them are shorter than 80', PATIENT, () => {
  const lengths = sourcesIn('src').map((file) => ({ file, lines: lineCount(file) }));
  expect(lengths.filter(({ lines }) => lines > LONGEST_FILE)).toEqual([]);
  const sorted = lengths.map(({ lines }) => lines).sort((a, b) => a - b);
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(LARGEST_MEDIAN);
});

test('a function is longer than 40 lines only with a reason', PATIENT, () => {
  const long = ['src', 'sandbox', 'stacks', 'tools']
    .flatMap(sourcesIn)
    .flatMap(functionsIn)
    .filter(({ lines }) => lines > LONGEST_FUNCTION);
  expect(long.map(({ name }) => name).sort()).toEqual(Object.keys(LONG_WITH_REASON).sort());
});
