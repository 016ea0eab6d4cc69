/** The one wording of a 404 for an object. */
import { ApiError } from '../../api/errors.ts';

/** @param noun such as "project" @param action what could not be done for the want of it */
export function notFound(noun: string, name: string, action = 'find'): ApiError {
  return new ApiError('NotFound', `Cannot ${action} ${noun} ${JSON.stringify(name)} as there is none of that name`);
}
