import express from 'express';
import { notFound } from '../errors.ts';
import { parseId, parseInput } from '../input.ts';
import { listQuery, paginationMeta, slicePage } from '../listing.ts';
import { LOCATIONS } from './locations.ts';
import { PRICING } from './pricing.ts';
import { SERVER_TYPES } from './server-types.ts';

/** Resources that the sandbox does not offer: a project has none and cannot order any. */
export const ABSENT_FAMILIES: readonly (readonly [plural: string, singular: string, hasActions: boolean])[] =
  [
    ['certificates', 'certificate', true],
    ['floating_ips', 'floating_ip', true],
    ['isos', 'iso', false],
    ['load_balancer_types', 'load_balancer_type', false],
    ['load_balancers', 'load_balancer', true],
    ['networks', 'network', true],
    ['placement_groups', 'placement_group', false],
    ['volumes', 'volume', true],
    ['zones', 'zone', true],
  ];

/** Serves what can be ordered, and its prices. No call changes them. */
export function createCatalogueRouter(): express.Router {
  const router = express.Router();
  addCatalogue(router, 'locations', 'location', LOCATIONS);
  addCatalogue(router, 'server_types', 'server_type', SERVER_TYPES);
  router.get('/pricing', (_request, response) => {
    response.json({ pricing: PRICING });
  });
  for (const [plural, singular, hasActions] of ABSENT_FAMILIES) {
    if (hasActions) addCatalogue(router, `${plural}/actions`, 'action', [], 'actions');
    addCatalogue(router, plural, singular, []);
  }
  return router;
}

interface Named {
  id: number;
  name: string | null;
}

function addCatalogue(
  router: express.Router,
  path: string,
  singular: string,
  things: readonly Named[],
  plural = path,
): void {
  const what = singular.replaceAll('_', ' ');
  router.get(`/${path}`, (request, response) => {
    const query = parseInput(listQuery, request.query);
    const found = things.filter((thing) => query.name === undefined || thing.name === query.name);
    const page = slicePage(found, query);
    response.json({ [plural]: page.rows, meta: paginationMeta(query, page.total) });
  });
  router.get(`/${path}/:id`, (request, response) => {
    const id = parseId(request.params.id, what);
    const thing = things.find((candidate) => candidate.id === id);
    if (thing === undefined) throw notFound(what);
    response.json({ [singular]: thing });
  });
}
