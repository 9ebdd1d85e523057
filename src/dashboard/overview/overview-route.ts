import type { RequestHandler } from 'express';
import { countFleet } from '../../agents/fleet.ts';
import { listAgents } from '../../agents/store.ts';
import { presentAgents } from '../../http/agents/present-agents.ts';
import { businessNow, type HttpDeps } from '../../http/deps.ts';
import { listBreakers } from '../../limits/listing.ts';
import { listFailureReasons, readProvisionFigures } from '../../operations/figures.ts';
import { findRetryable } from '../../operations/retry-latest.ts';
import { listWaiting } from '../../operations/waiting.ts';
import { readChecks } from '../../reconcile/checks/store.ts';
import { listNeeds } from '../../reconcile/needs.ts';
import { readWorkforce } from '../../reconcile/workforce.ts';
import { roleOnPage } from '../guards.ts';
import { sendPage } from '../requests.ts';
import { sharedReads } from '../shared-reads.ts';
import { type OverviewPage, overviewPage } from './overview-page.ts';

const NEEDS_SHOWN = 12;
const REASONS_SHOWN = 5;
const WAITING_SHOWN = 8;
const AGENTS_SHOWN = 20;

/** Answers `/`. Pages that are open in many places ask at the same moments, so they share what is read. */
export function showOverview(deps: HttpDeps): RequestHandler {
  const { checkoutUrl, missingKeys, watched } = deps;
  const read = sharedReads(() => readOverview(deps));
  return async (_request, response) => {
    const role = roleOnPage(response);
    const main = overviewPage({ ...(await read(undefined)), checkoutUrl, missingKeys, watched, role });
    sendPage(response, deps, { title: 'Overview', main, operator: true, place: 'overview' });
  };
}

async function readOverview(
  deps: HttpDeps,
): Promise<Omit<OverviewPage, 'checkoutUrl' | 'missingKeys' | 'watched' | 'role'>> {
  const { database } = deps;
  const [groups, breakers, checks, fleet, provisions, failures, waiting, workforce, newest] =
    await Promise.all([
      listNeeds(database, NEEDS_SHOWN),
      listBreakers(database, businessNow(deps)),
      readChecks(database),
      countFleet(database),
      readProvisionFigures(database),
      listFailureReasons(database, REASONS_SHOWN),
      listWaiting(database, WAITING_SHOWN),
      readWorkforce(database),
      listAgents(database, { limit: AGENTS_SHOWN }),
    ]);
  const alone = groups.flatMap((group) => (group.count === 1 ? group.agentIds : []));
  return {
    needs: {
      groups,
      breakers,
      problems: checks.filter(({ ok }) => !ok),
      retryable: await findRetryable(database, alone),
    },
    fleet,
    figures: { provisions, failures, breakers, workforce },
    waiting,
    agents: await presentAgents(database, newest),
  };
}
