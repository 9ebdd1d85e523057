import express from 'express';
import { z } from 'zod';
import { notFound } from '../errors.ts';
import { listParameter, parseId, parseInput } from '../input.ts';
import { matchesSelector, parseLabelSelector } from '../label-selector.ts';
import { listQuery, paginationMeta, slicePage } from '../listing.ts';
import { images } from './images.ts';
import { locations } from './locations.ts';
import { serverTypes } from './server-types.ts';

const imageQuery = listQuery.extend({
  type: listParameter,
  status: listParameter,
  bound_to: listParameter,
  architecture: listParameter,
  include_deprecated: z.stringbool().default(false),
});

/** What can be ordered: locations, server types, images. The same for everybody, and never changed by a call. */
export function createCatalogueRouter(): express.Router {
  const router = express.Router();
  addCatalogue(router, 'locations', 'location', locations);
  addCatalogue(router, 'server_types', 'server_type', serverTypes);
  // Kinds that the sandbox does not sell: a project that has none of them.
  addCatalogue(router, 'isos', 'iso', []);
  addCatalogue(router, 'networks', 'network', []);
  addCatalogue(router, 'placement_groups', 'placement_group', []);
  router.get('/images', (request, response) => {
    const query = parseInput(imageQuery, request.query);
    const page = slicePage(sortImages(images.filter(imageFilter(query)), query.sort), query);
    response.json({ images: page.rows, meta: paginationMeta(query, page.total) });
  });
  addReadById(router, 'images', 'image', images);
  return router;
}

type Named = { id: number; name: string | null };

function addCatalogue(
  router: express.Router,
  plural: string,
  singular: string,
  things: readonly Named[],
): void {
  router.get(`/${plural}`, (request, response) => {
    const query = parseInput(listQuery, request.query);
    const found = things.filter((thing) => query.name === undefined || thing.name === query.name);
    const page = slicePage(found, query);
    response.json({ [plural]: page.rows, meta: paginationMeta(query, page.total) });
  });
  addReadById(router, plural, singular, things);
}

function addReadById(
  router: express.Router,
  plural: string,
  singular: string,
  things: readonly Named[],
): void {
  const what = singular.replaceAll('_', ' ');
  router.get(`/${plural}/:id`, (request, response) => {
    const id = parseId(request.params.id, what);
    const thing = things.find((candidate) => candidate.id === id);
    if (thing === undefined) throw notFound(what);
    response.json({ [singular]: thing });
  });
}

function imageFilter(query: z.infer<typeof imageQuery>): (image: (typeof images)[number]) => boolean {
  const selector = parseLabelSelector(query.label_selector ?? '');
  const among = (wanted: string[], value: string) => wanted.length === 0 || wanted.includes(value);
  return (image) =>
    (query.name === undefined || image.name === query.name) &&
    (query.include_deprecated || image.deprecated === null) &&
    query.bound_to.length === 0 &&
    among(query.type, image.type) &&
    among(query.status, image.status) &&
    among(query.architecture, image.architecture) &&
    matchesSelector(selector, image.labels);
}

function sortImages(found: (typeof images)[number][], sort: string[]) {
  return found.sort((a, b) => {
    for (const term of sort) {
      const [key, direction] = term.split(':');
      const [left, right] = key === 'name' || key === 'created' ? [a[key], b[key]] : [a.id, b.id];
      if (left !== right) return (left < right ? -1 : 1) * (direction === 'desc' ? -1 : 1);
    }
    return a.id - b.id;
  });
}
