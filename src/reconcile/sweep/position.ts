import { DEFAULT_PROJECT } from '../../config/hetzner-projects.ts';
import type { ProjectCursor, SweepPosition } from '../../database/reconcile-tables.ts';
import type { Budgets } from './budget.ts';
import { type Inventory, PAGE_SIZE } from './inventory.ts';
import type { Removal } from './remove.ts';
import type { SweepReport } from './sweeps.ts';

/**
 * Notes what was not compared, and where the next sweep goes on in the projects whose lists are not complete.
 */
export function continueAt(
  report: SweepReport,
  { next, failed }: Pick<Inventory, 'next' | 'failed'>,
  { removed, budgets }: { removed: readonly Removal[]; budgets: Budgets },
): void {
  const notes = report.note === null ? [] : [report.note];
  for (const project of failed.keys()) notes.push(`The Hetzner project ${project} could not be compared`);
  const projects: SweepPosition['projects'] = {};
  for (const [project, cursor] of Object.entries(next)) {
    const isBefore = ({ resource }: Removal) =>
      resource.kind === KIND_OF_LIST[cursor.list] && 'project' in resource && resource.project === project;
    projects[project] = movedUp(cursor, removed.filter(isBefore).length);
    const { used, left } = budgets.of(project);
    const where = project === DEFAULT_PROJECT ? '' : ` of the Hetzner project ${project}`;
    notes.push(
      `The budget of ${used + left} API calls was too small for all lists${where}: ` +
        `the next sweep continues at page ${projects[project].page} of the ${cursor.list}`,
    );
  }
  if (Object.keys(projects).length > 0) report.next = { projects, omittedKeys: report.omittedKeys };
  report.note = notes.length === 0 ? null : notes.join('. ');
}

const KIND_OF_LIST = { servers: 'server', 'ssh-keys': 'ssh-key', snapshots: 'snapshot' } as const;

/** Adjusts the cursor after `removed` resources before it were deleted, which moves the rest up. */
function movedUp(cursor: ProjectCursor, removed: number): ProjectCursor {
  return { ...cursor, page: Math.max(1, cursor.page - Math.ceil(removed / PAGE_SIZE)) };
}
