import { z } from 'zod';

/** The parts of cloud-init user data that a simulated machine uses. */
export interface CloudInit {
  hostname?: string | undefined;
  tailnetKey?: string | undefined;
  /** The hostname for `tailscale up`. */
  joinName?: string | undefined;
}

const KEY_PATH = '/etc/agent/tailnet-key';

/**
 * Parses a `#cloud-config` document: `hostname:`, the content of `/etc/agent/tailnet-key` in `write_files:`,
 * and the hostname for `tailscale up`. It may be JSON, or YAML with the content on one line or in a block
 * scalar.
 */
export function readCloudInit(userData: string): CloudInit {
  if (!userData.startsWith('#cloud-config')) return {};
  const lines = userData.split(/\r?\n/);
  const { hostname, tailnetKey } = readJson(lines.slice(1).join('\n')) ?? readYaml(lines);
  const joinName = /\btailscale up\b[^\n]*--hostname=([\w-]+)/.exec(userData)?.[1];
  return {
    ...(hostname ? { hostname } : {}),
    ...(tailnetKey ? { tailnetKey } : {}),
    ...(joinName === undefined ? {} : { joinName }),
  };
}

const jsonConfig = z.object({
  hostname: z.string().optional(),
  write_files: z.array(z.object({ path: z.string(), content: z.string().optional() })).default([]),
});

function readJson(text: string): CloudInit | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    const { hostname, write_files } = jsonConfig.parse(JSON.parse(text));
    const tailnetKey = write_files.find((file) => file.path === KEY_PATH)?.content?.trim();
    return { hostname, tailnetKey };
  } catch {
    return {};
  }
}

function readYaml(lines: string[]): CloudInit {
  const hostname = scalar(lines.find((line) => /^hostname:/.test(line)));
  return { hostname, tailnetKey: fileContent(lines) };
}

/** Returns the content of the list item whose `path:` is the key's; its lines may be in any order. */
function fileContent(lines: string[]): string | undefined {
  const path = lines.findIndex((line) => /^\s*(- )?\s*"?path"?:/.test(line) && scalar(line) === KEY_PATH);
  if (path === -1) return undefined;
  const item = itemAround(lines, path);
  const content = item.findIndex((line) => /^\s*(- )?\s*"?content"?:/.test(line));
  if (content === -1) return undefined;
  const inline = scalar(item[content]);
  return inline !== undefined && !/^[|>][+-]?\d*$/.test(inline) ? inline : blockScalar(item, content);
}

/** Returns the lines of the list item around line `index`. */
function itemAround(lines: string[], index: number): string[] {
  const startsItem = (line: string | undefined) => /^\s*- /.test(line ?? '');
  let start = index;
  while (start > 0 && !startsItem(lines[start])) start -= 1;
  const dash = indentation(lines[start]!);
  let end = start + 1;
  while (end < lines.length && (lines[end]!.trim() === '' || indentation(lines[end]!) > dash)) end += 1;
  return lines.slice(start, end);
}

/** Returns the text below `content: |`: all lines indented deeper than the key. */
function blockScalar(item: string[], index: number): string {
  const key = item[index]!.replace('- ', '  ');
  const rest = item.slice(index + 1);
  const end = rest.findIndex((line) => line.trim() !== '' && indentation(line) <= indentation(key));
  return (end === -1 ? rest : rest.slice(0, end))
    .map((line) => line.trim())
    .join('\n')
    .trim();
}

/** Returns the value after the colon, unquoted. */
function scalar(line: string | undefined): string | undefined {
  const value = line?.slice(line.indexOf(':') + 1).trim();
  if (!value) return undefined;
  if (value.startsWith('"')) return parseQuoted(value);
  return /^'(.*)'$/.exec(value)?.[1]?.replaceAll("''", "'") ?? value;
}

function parseQuoted(value: string): string | undefined {
  try {
    return String(JSON.parse(value)).trim();
  } catch {
    return undefined;
  }
}

function indentation(line: string): number {
  return line.length - line.trimStart().length;
}
