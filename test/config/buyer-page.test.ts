import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { NO_BUYER_PAGE, readBuyerPage } from '../../src/config/buyer-page.ts';
import { readHetznerProjectIds, toConsoles } from '../../src/config/consoles.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'buyer-page-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, content: string | Buffer) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const read = (variables: Record<string, string>) => {
  const reader = new EnvironmentReader(variables);
  return { page: readBuyerPage(reader), problems: reader.problems };
};

test('without settings the page is as it is built in', () => {
  expect(read({})).toEqual({ page: NO_BUYER_PAGE, problems: [] });
});

test('name, colours, logo, texts, origins and links', () => {
  const { page, problems } = read({
    BUYER_PAGE_NAME: 'Nimbus & Co',
    BUYER_PAGE_COLOUR: '#7a1fa2',
    BUYER_PAGE_COLOUR_DARK: '#e0a8ff',
    BUYER_PAGE_LOGO: file('logo.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>'),
    BUYER_PAGE_TEXTS: file('texts.json', '{"running": "Up!"}'),
    BUYER_PAGE_ORIGINS: 'https://app.example.com, http://127.0.0.1:3000',
    BUYER_PAGE_PAY_URL: 'https://billing.example.com/p/login',
    BUYER_PAGE_HELP_URL: 'mailto:help@example.com',
  });
  expect(problems).toEqual([]);
  expect(page).toMatchObject({
    name: 'Nimbus & Co',
    texts: { running: 'Up!' },
    logo: { type: 'image/svg+xml' },
    origins: ['https://app.example.com', 'http://127.0.0.1:3000'],
  });
  expect(read({ BUYER_PAGE_LOGO: 'https://cdn.example.com/l.png' }).page.logo).toEqual({
    url: 'https://cdn.example.com/l.png',
  });
});

test.each([
  ['BUYER_PAGE_COLOUR', '#ffdd00', 'is hard to read on the page’s #ffffff'],
  ['BUYER_PAGE_COLOUR', 'red', 'must be a colour such as #0550ae'],
  ['BUYER_PAGE_COLOUR_DARK', '#0550ae', 'is hard to read on the page’s #0d1117'],
  ['BUYER_PAGE_NAME', 'x'.repeat(61), 'must have at most 60 characters'],
  ['BUYER_PAGE_ORIGINS', 'https://app.example.com/path', 'must be origins'],
  ['BUYER_PAGE_ORIGINS', "https://a.example; script-src 'unsafe-inline'", 'must be origins'],
  ['BUYER_PAGE_ORIGINS', 'https://*.example.com', 'must be origins'],
  ['BUYER_PAGE_ORIGINS', 'http://app.example.com', 'must be origins'],
  ['BUYER_PAGE_PAY_URL', 'javascript:alert(1)', 'must be an http(s) URL'],
  ['BUYER_PAGE_HELP_URL', 'javascript:alert(1)', ''],
  ['BUYER_PAGE_LOGO', '/nowhere/logo.png', 'cannot be read'],
  ['BUYER_PAGE_LOGO', '/etc/passwd', 'must be a file of the kind .svg, .png'],
  ['BUYER_PAGE_TEXTS', 'texts.json', 'must be the absolute path of a file'],
])('%s=%s is refused', (name, value, problem) => {
  const { problems } = read({ [name]: value });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(name);
  expect(problems[0]).toContain(problem);
});

test('texts of unknown names, and a logo that is too large, are refused', () => {
  expect(read({ BUYER_PAGE_TEXTS: file('bad.json', '{"ready": "x"}') }).problems[0]).toContain('ready');
  expect(read({ BUYER_PAGE_TEXTS: file('none.json', 'not JSON') }).problems).toHaveLength(1);
  expect(read({ BUYER_PAGE_LOGO: file('big.png', Buffer.alloc(300 * 1024)) }).problems[0]).toContain(
    '256 kB',
  );
});

test('Tailscale’s console is linked to only where its own control server is used', () => {
  const tailscale = { baseUrl: 'https://api.tailscale.com', loginServer: undefined };
  const ids = { default: '123' };
  expect(toConsoles(ids, tailscale)).toEqual({ hetznerProjectIds: ids, hasTailscale: true });
  expect(toConsoles({}, { ...tailscale, loginServer: 'https://head.example' }).hasTailscale).toBe(false);
});

test.each([
  ['4711', { default: '4711' }],
  ['eu=1, us-2=22', { eu: '1', 'us-2': '22' }],
])('HCLOUD_PROJECT_ID=%s names the numbers of projects', (text, ids) => {
  expect(readHetznerProjectIds(new EnvironmentReader({ HCLOUD_PROJECT_ID: text }))).toEqual(ids);
});
