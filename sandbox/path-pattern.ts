import vm from 'node:vm';

/** Far longer than any useful pattern needs: a match takes microseconds. */
const LONGEST_MATCH_MS = 500;

const realm = vm.createContext({ source: '', path: '' });
const script = new vm.Script('new RegExp(source).test(path)');

/**
 * Whether a path matches a pattern from a request. One that starts with ^ is a regular expression; otherwise
 * `*` is one path segment and `**` is anything. A malicious pattern of either kind could block the
 * sandbox forever, so a match has a time limit.
 * @throws PatternTooSlow
 */
export function pathMatches(pattern: string, path: string): boolean {
  Object.assign(realm, { source: toSource(pattern), path });
  try {
    return script.runInContext(realm, { timeout: LONGEST_MATCH_MS });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    throw new PatternTooSlow(`Its pattern took longer than ${LONGEST_MATCH_MS} ms`, { cause: error });
  }
}

/** The pattern's repetitions make the engine backtrack too long. */
export class PatternTooSlow extends Error {
  override name = 'PatternTooSlow';
}

/** Whether `pathMatches` accepts the pattern. */
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
