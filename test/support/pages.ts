const ENTITIES = { quot: '"', lt: '<', gt: '>', '#39': "'", amp: '&' };

/** What a page's markup says, as a reader sees it. */
export function textOf(markup: string): string {
  return markup
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/&(quot|lt|gt|#39|amp);/g, (_, name: keyof typeof ENTITIES) => ENTITIES[name])
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** The banners of the first screen, each as markup. */
export function bannersIn(markup: string): string[] {
  return [...markup.matchAll(/<section class="problem[\s\S]*?<\/section>/g)].map(([banner]) => banner);
}

/** What can be clicked: forms by `POST path`, links by `GET path`. */
export function clickables(markup: string): string[] {
  const links = [...markup.matchAll(/<a\b[^>]*\bhref="([^"#]*)/g)].map(([, href]) => `GET ${href}`);
  const forms = [...markup.matchAll(/<form\b[^>]*\bmethod="post"[^>]*\baction="([^"]*)"/g)].map(
    ([, action]) => `POST ${action}`,
  );
  return [...forms, ...links];
}

/**
 * With how many clicks from this markup something can be done: 1: it is there; 2: a page that it links to has
 * it; undefined: neither. `open` loads a page.
 */
export async function clicksTo(
  markup: string,
  wanted: RegExp,
  open: (path: string) => Promise<string>,
): Promise<1 | 2 | undefined> {
  const here = clickables(markup);
  if (here.some((one) => wanted.test(one))) return 1;
  const paths = new Set(here.filter((one) => one.startsWith('GET /')).map((one) => one.slice(4)));
  for (const path of paths) if (clickables(await open(path)).some((one) => wanted.test(one))) return 2;
  return undefined;
}
