// Hosts a Postgres in the given folder, prints its address, and runs until it is killed.
import { hostPostgres } from '../../../../sandbox/host/postgres.ts';

const postgres = await hostPostgres({ dataDir: process.argv[2]!, durable: false });
console.log(JSON.stringify({ pid: postgres.pid, adminUrl: postgres.adminUrl }));
