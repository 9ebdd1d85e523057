import { ConflictError } from '../errors.ts';

/** The file is no backup, is damaged, or does not fit. */
export class BackupError extends ConflictError {
  override name = 'BackupError';
}
