import { providerProto, toStruct } from './grpc.ts';
import type { ChangeKind, CheckResult, DiffResult, PropertyChange } from './resource.ts';
import type { Properties } from './values.ts';

/** `wireInputs`: the inputs as received, with their secret wrappers. */
export function checkResponse(wireInputs: Properties, { added, failures }: CheckResult) {
  const response = new providerProto.CheckResponse();
  response.setInputs(toStruct({ ...wireInputs, ...added }));
  for (const { property, reason } of failures ?? []) {
    const failure = new providerProto.CheckFailure();
    failure.setProperty(property);
    failure.setReason(reason);
    response.addFailures(failure);
  }
  return response;
}

const { Kind } = providerProto.PropertyDiff;
const kinds: Record<ChangeKind, [plain: number, replacing: number]> = {
  add: [Kind.ADD, Kind.ADD_REPLACE],
  delete: [Kind.DELETE, Kind.DELETE_REPLACE],
  update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
};

export function diffResponse(result: DiffResult, ignoreChanges: readonly string[]) {
  const changes = result.changes.filter((change) => !isIgnored(change, ignoreChanges));
  const replacing = changes.filter(({ replaces }) => replaces);
  const { DiffChanges } = providerProto.DiffResponse;
  const response = new providerProto.DiffResponse();
  response.setChanges(changes.length > 0 ? DiffChanges.DIFF_SOME : DiffChanges.DIFF_NONE);
  response.setDiffsList(topLevel(changes));
  response.setReplacesList(topLevel(replacing));
  response.setDeletebeforereplace(replacing.length > 0 && result.deleteBeforeReplace);
  response.setHasdetaileddiff(true);
  for (const { path, kind, replaces } of changes) {
    const diff = new providerProto.PropertyDiff();
    diff.setKind(kinds[kind][replaces ? 1 : 0]);
    response.getDetaileddiffMap().set(path, diff);
  }
  return response;
}

function topLevel(changes: readonly PropertyChange[]): string[] {
  return [...new Set(changes.map(({ path }) => path.split(/[.[]/, 1)[0]!))];
}

function isIgnored({ path }: PropertyChange, ignoreChanges: readonly string[]): boolean {
  return ignoreChanges.some(
    (ignored) => path === ignored || path.startsWith(`${ignored}.`) || path.startsWith(`${ignored}[`),
  );
}
