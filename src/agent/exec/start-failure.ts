/** What it means that the engine could not start a command, in words for a person; pure. Callers: exec-session.ts. */
import { ApiError } from '../../api/errors.ts';
import type { ServiceName } from '../http/service-container.ts';

export interface Unstarted extends ServiceName {
  readonly command: readonly string[];
  /** the engine's: what it wrote where the command's output would have been */
  readonly words: string;
}

/** Source: messages of runc 1.x and of moby's daemon/exec*.go. */
export function explainStartFailure({ project, service, command, words }: Unstarted): ApiError {
  const program = command[0] ?? '';
  const what = `Cannot run ${program} in ${project}/${service} as`;
  const text = words.replaceAll(/\s+/gu, ' ').trim();
  const folder = /chdir to cwd \("([^"]*)"\)/u.exec(text)?.[1];
  if (folder !== undefined) {
    return new ApiError('NotExecutable', `${what} there is no folder ${folder} in the container: name one that is there with --workdir`);
  }
  const user = /unable to find (user|group) ([^:]*):/u.exec(text);
  if (user !== null) {
    return new ApiError(
      'NotExecutable',
      `${what} there is no ${user[1]} ${user[2]} in the image: name one that is there, or a number, with --user`,
    );
  }
  if (/executable file not found|no such file or directory/iu.test(text)) {
    return new ApiError('NoSuchProgram', `${what} there is no such program ${program} in the image: name one that is there`);
  }
  if (/permission denied/iu.test(text)) {
    return new ApiError('NotExecutable', `${what} it may not be executed there: permission denied`);
  }
  if (/exec format error/iu.test(text)) {
    return new ApiError('NotExecutable', `${what} it is no program that this machine can execute: exec format error`);
  }
  return new ApiError('NotExecutable', `${what} the engine says: ${text.slice(0, 1000)}`);
}
