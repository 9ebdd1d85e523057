import { readFileSync } from 'node:fs';
import { extname, isAbsolute } from 'node:path';
import { z } from 'zod';
import { errorMessage } from '../errors.ts';
import { type EnvironmentReader, withoutWrapping } from './environment-reader.ts';
import { httpUrl } from './fields.ts';
import { isLoopback } from './rehearsal-endpoints.ts';

/** How the buyer's page looks and what it says; everything is optional. */
export interface BuyerPage {
  /** The name of the product or the company. */
  name: string | undefined;
  /** The colour of links, buttons and progress on a light and on a dark page. */
  colours: { light: string | undefined; dark: string | undefined };
  logo: Logo | undefined;
  texts: BuyerTexts;
  /** The sites that may show the page in a frame. */
  origins: readonly string[];
  /** Where a buyer pays what is open, such as the login link of Stripe's customer portal. */
  payUrl: string | undefined;
  /** Where a buyer gets help: a page or a mail address. */
  helpUrl: string | undefined;
}

export type Logo = { url: string } | { content: Buffer; type: string };

export const NO_BUYER_PAGE: BuyerPage = {
  name: undefined,
  colours: { light: undefined, dark: undefined },
  logo: undefined,
  texts: {},
  origins: [],
  payUrl: undefined,
  helpUrl: undefined,
};

const sentence = z.string().min(1, 'must not be empty').max(500, 'is longer than 500 characters').optional();

/**
 * The sentences of the page that an operator can replace; src/dashboard/buyer/words.ts has the built-in ones.
 */
const textsSchema = z.strictObject({
  requested: sentence,
  provisioning: sentence,
  running: sentence,
  stopping: sentence,
  stopped: sentence,
  suspended: sentence,
  failed: sentence,
  destroying: sentence,
  destroyed: sentence,
  queued: sentence,
  creating_server: sentence,
  joining_network: sentence,
  configuring: sentence,
  verifying: sentence,
  slow: sentence,
});
export type BuyerTexts = z.infer<typeof textsSchema>;

const name = z
  .string()
  .max(60, 'must have at most 60 characters')
  .regex(/^[^\p{Cc}]+$/u, 'must be one line');
const LEAST_CONTRAST = 4.5;
/** The page's own surfaces (tokens.css). */
const SURFACES = { light: '#ffffff', dark: '#0d1117' };
const MOST_LOGO_BYTES = 256 * 1024;
const LOGO_TYPES: Record<string, string> = {
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
};

const origins = z
  .string()
  .transform((text) => text.split(',').map(withoutWrapping).filter(Boolean))
  .refine((list) => list.length > 0 && list.length <= 20, 'must be one to twenty origins')
  .refine(
    (list) => list.every(isOrigin),
    'must be origins such as https://app.example.com, without a path; separate several with commas',
  );

/** It stands in a header, so it must be an origin and nothing else. http is for this machine alone. */
function isOrigin(text: string): boolean {
  if (!/^https?:\/\/[a-z0-9.:[\]-]+$/.test(text) || !URL.canParse(text)) return false;
  const { origin, protocol, hostname } = new URL(text);
  return origin === text && (protocol === 'https:' || isLoopback(hostname));
}

const helpUrl = z.union([
  httpUrl,
  z
    .string()
    .regex(/^mailto:[^\s?@]{1,64}@[\w.-]{1,255}$/, 'must be an http(s) URL, or mailto: and a mail address'),
]);

/** Reads how the buyer's page looks. Problems are collected in the reader. */
export function readBuyerPage(reader: EnvironmentReader): BuyerPage {
  return {
    name: reader.read('BUYER_PAGE_NAME', name),
    colours: {
      light: reader.read('BUYER_PAGE_COLOUR', colourOn(SURFACES.light)),
      dark: reader.read('BUYER_PAGE_COLOUR_DARK', colourOn(SURFACES.dark)),
    },
    logo: readLogo(reader),
    texts: readTexts(reader),
    origins: reader.read('BUYER_PAGE_ORIGINS', origins) ?? [],
    payUrl: reader.read('BUYER_PAGE_PAY_URL', httpUrl),
    helpUrl: reader.read('BUYER_PAGE_HELP_URL', helpUrl),
  };
}

function colourOn(surface: string) {
  return z
    .string()
    .regex(/^#[0-9a-f]{6}$/i, 'must be a colour such as #0550ae')
    .refine(
      (colour) => contrast(colour, surface) >= LEAST_CONTRAST,
      `is hard to read on the page’s ${surface}: its contrast must be at least ${LEAST_CONTRAST} to 1`,
    );
}

/** As WCAG 2 defines it. */
function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

function readLogo(reader: EnvironmentReader): Logo | undefined {
  const text = reader.text('BUYER_PAGE_LOGO');
  if (text === undefined) return undefined;
  if (!isAbsolute(text)) {
    const url = reader.read('BUYER_PAGE_LOGO', httpUrl);
    return url === undefined ? undefined : { url };
  }
  const type = LOGO_TYPES[extname(text).toLowerCase()];
  const types = Object.keys(LOGO_TYPES).join(', ');
  if (type === undefined) reader.problems.push(`BUYER_PAGE_LOGO must be a file of the kind ${types}`);
  const content = readFile(reader, 'BUYER_PAGE_LOGO', text);
  if (content !== undefined && content.length > MOST_LOGO_BYTES)
    reader.problems.push('BUYER_PAGE_LOGO must be at most 256 kB');
  return type === undefined || content === undefined ? undefined : { content, type };
}

function readFile(reader: EnvironmentReader, variable: string, path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    reader.problems.push(`${variable} cannot be read: ${errorMessage(error)}`);
    return undefined;
  }
}

function readTexts(reader: EnvironmentReader): BuyerTexts {
  const path = reader.text('BUYER_PAGE_TEXTS');
  if (path === undefined) return {};
  if (!isAbsolute(path)) {
    reader.problems.push('BUYER_PAGE_TEXTS must be the absolute path of a file');
    return {};
  }
  const content = readFile(reader, 'BUYER_PAGE_TEXTS', path);
  if (content === undefined) return {};
  const parsed = textsSchema.safeParse(parseJson(content.toString()));
  if (parsed.success) return parsed.data;
  reader.problems.push(
    ...parsed.error.issues.map(
      ({ path: at, message }) => `BUYER_PAGE_TEXTS: ${[at.join('.'), message].filter(Boolean).join(': ')}`,
    ),
  );
  return {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
