// Claims the given folder, reports its role, and keeps the folder until stdin ends.
import { claimDataDir } from '../../../src/processes/folder-lock.ts';

const claim = await claimDataDir(process.argv[2]!);
console.log(
  JSON.stringify({ role: claim.role, owner: claim.role === 'join' ? claim.owner.pid : process.pid }),
);
for await (const _ of process.stdin) {
  // nothing is sent
}
