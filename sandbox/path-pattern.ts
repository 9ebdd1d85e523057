import vm from 'node:vm';

/** What no pattern of use takes; a match is over in microseconds. */
const LONGEST_MATCH_MS = 500;

const realm = vm.createContext({ source: '', path: '' });
const script = new vm.Script('new RegExp(source).test(path)');

/**
 * Whether a path matches a pattern that someone ordered. One that starts with ^ is a regular expression; otherwise `*` is one path
 * segment, `**` is anything. Either can be written so that a match takes for ever, and while it lasts the sandbox answers nobody:
 * then it is broken off.
 * @throws PatternTooSlow
 */
export function pathMatches(pattern: string, path: string): boolean {
  Object.assign(realm, { source: toSource(pattern), path });
  try {
    return script.runInContext(realm, { timeout: LONGEST_MATCH_MS });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new PatternTooSlow(`Its pattern was not matched within ${LONGEST_MATCH_MS} ms`, { cause: error });
  }
}

/** A pattern of nested or many repetitions, met by a path that makes it try them all. */
export class PatternTooSlow extends Error {
  override name = 'PatternTooSlow';
}

/** Whether `pathMatches` can be asked with the pattern. */
export function isPattern(text: string): boolean {
  try {
    new RegExp(toSource(text));
    return true;
  } catch {
    return false;
  }
}

function toSource(pattern: string): string {
  if (pattern.startsWith('^')) return pattern;
  const source = pattern
    .split(/(\*\*|\*)/)
    .map((part) =>
      part === '**' ? '.*' : part === '*' ? '[^/]+' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'),
    )
    .join('');
  return `^${source}$`;
}
