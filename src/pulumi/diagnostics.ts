/**
 * Strips the frames that the providers' frameworks add to their diagnostics. terraform-plugin-framework
 * reports every error twice, over several lines: `[ERROR] <detail>`, a line `: <summary>`, then `<summary>:
 * <detail>`. SDK v2 begins with a location in its own source and repeats the cause in a list.
 */

const FRAMEWORK = /^\[ERROR\] /;
const API_REQUEST = 'An unexpected error was encountered during an API request.';
const API_FAILED =
  /^(?:\[ERROR\] |API request failed: )?An unexpected error was encountered during an API request\.\s*/;
const TAIL = /\n: ([^\n]+)$/;
const CODE = /\n\s*Error code: (\w+)/;
const CODES = /\n\s*(?:Error|Status) code: [^\n]*/g;
const SDK_PLACE = /^\S+\.go:\d+: sdk\.\w+: /;
const SDK_PROVIDER = /: provider=[\w-]+@[\w.+-]+$/;
const NOTHING_SAID = /^(update failed|\d+ errors? occurred:?|preview failed)$/i;

/** Returns one diagnostic for people; empty if it only repeats other information. */
export function plainDiagnostic(message: string): string {
  const whole = message.trim();
  if (!whole.includes(API_REQUEST) && !FRAMEWORK.test(whole)) return withoutSdkFrame(whole);
  const detail = whole.replace(/^ +/gm, '').replace(TAIL, '');
  const code = CODE.exec(detail)?.[1];
  const said = detail
    .replace(API_FAILED, '')
    .replace(FRAMEWORK, '')
    .replace(CODES, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  if (said === '') return [API_REQUEST, ...(code === undefined ? [] : [`(${code})`])].join(' ');
  return code === undefined || said.includes(`(${code}`) ? said : `${said} (${code})`;
}

function withoutSdkFrame(text: string): string {
  const said = text
    .replace(SDK_PLACE, '')
    .replace(SDK_PROVIDER, '')
    .replace(/^\d+ errors? occurred:\s*\n/, '')
    .replace(/^\s*\* /gm, '');
  return NOTHING_SAID.test(said) ? '' : said.trim();
}

const BEGINS = /^\s*error:\s*(.*)$/i;
const BULLET = /^\s*\*\s*(.*)$/;
/** Ends a multi-line message: the next message, the next resource, or the next part of the CLI's output. */
const ENDS = /^\s*(error|warning|info):|^ {0,3}\S.*\):$|^[A-Z][a-z]+:$/i;

/** Returns the messages of `error:` lines and of the lists below them, each once, without frames. */
export function errorMessages(text: string): string[] {
  const found: string[] = [];
  const summaries: string[] = [];
  for (const message of rawMessages(text)) {
    // Skips the repetition in the second frame.
    if (summaries.some((summary) => message.startsWith(`${summary}: `))) continue;
    const summary = FRAMEWORK.test(message) ? TAIL.exec(message)?.[1] : undefined;
    if (summary !== undefined) summaries.push(summary);
    found.push(plainDiagnostic(message));
  }
  return [...new Set(found.filter((message) => message !== ''))];
}

/** Returns messages verbatim: all lines of the framework's messages, the first line of any other. */
function rawMessages(text: string): string[] {
  const messages: string[][] = [];
  let isOpen = false;
  for (const line of text.split('\n')) {
    const first = (BEGINS.exec(line) ?? BULLET.exec(line))?.[1];
    if (first !== undefined) {
      messages.push([first]);
      isOpen = FRAMEWORK.test(first) || first.includes(API_REQUEST);
    } else if (isOpen && !ENDS.test(line)) messages.at(-1)!.push(line.trim());
    else isOpen = false;
  }
  return messages.map((lines) => lines.join('\n').trim());
}
