/** caractrl config: the servers that are known. Tokens are never shown. */
import { defineCommand, type CommandContext } from '../command.ts';
import { deleteContext, readContexts, useContext } from '../target/context-file.ts';
import { UsageError } from '../ctl-error.ts';
import { renderDocument } from '../output/document.ts';
import { renderTable } from '../output/table.ts';

const ACTIONS = 'get-contexts, current-context, use-context NAME, delete-context NAME';

export const configCommand = defineCommand({
  name: 'config',
  summary: 'Show and choose the servers that caractrl knows',
  args: 'get-contexts | current-context | use-context NAME | delete-context NAME',
  options: {},
  examples: [
    { command: 'caractrl config get-contexts', does: 'the servers, the current one marked' },
    { command: 'caractrl config use-context work', does: 'use another from now on; --context work for one command' },
  ],
  run: async (context, [action, ...names]) => {
    const { io, signal } = context;
    const path = context.configPath();
    switch (action ?? '') {
      case 'get-contexts':
        checkNone(names);
        return listContexts(context, path);
      case 'current-context': {
        checkNone(names);
        const { current } = await readContexts(path, { isRequired: false }, signal);
        if (current === undefined) {
          throw new UsageError('Cannot tell the current context as there is none', {
            hint: 'caractrl config use-context NAME, or caractrl login SERVER',
          });
        }
        io.stdout.write(`${current}\n`);
        return 0;
      }
      case 'use-context': {
        const name = readName(names, 'use-context');
        await useContext(path, name, signal);
        io.stdout.write(`context ${name} is the current one\n`);
        return 0;
      }
      case 'delete-context': {
        const name = readName(names, 'delete-context');
        await deleteContext(path, name, signal);
        io.stdout.write(`context ${name} deleted; its token still works: caractrl token revoke ends it\n`);
        return 0;
      }
      default: {
        const given = action === undefined ? 'nothing is said' : `there is no ${JSON.stringify(action)}`;
        throw new UsageError(`Cannot tell what to do as ${given}: known are ${ACTIONS}`, { hint: 'caractrl config get-contexts' });
      }
    }
  },
});

async function listContexts({ io, output = 'table', signal }: CommandContext, path: string): Promise<number> {
  const { current, contexts } = await readContexts(path, { isRequired: false }, signal);
  if (output === 'json' || output === 'yaml') {
    const shown = contexts.map(({ name, server, token }) => ({ name, server, isCurrent: name === current, hasToken: token !== undefined }));
    io.stdout.write(await renderDocument(output, { path, contexts: shown }));
  } else if (output === 'name') {
    io.stdout.write(contexts.map(({ name }) => `${name}\n`).join(''));
  } else if (contexts.length === 0) {
    io.stderr.write(`no contexts in ${path}: caractrl login SERVER adds one\n`);
  } else {
    const rows = contexts.map(({ name, server, token }) => [
      name === current ? '*' : '',
      name,
      server,
      token === undefined ? 'none' : 'yes',
    ]);
    io.stdout.write(renderTable(['CURRENT', 'NAME', 'SERVER', 'TOKEN'], rows, io.stdout));
  }
  return 0;
}

/** @throws {UsageError} */
function readName([name, ...more]: readonly string[], action: string): string {
  if (name === undefined || more.length > 0) {
    throw new UsageError(`Cannot tell which context is meant: give one name to ${action}`, { hint: 'caractrl config get-contexts' });
  }
  return name;
}

/** @throws {UsageError} */
function checkNone([name]: readonly string[]): void {
  if (name !== undefined) {
    throw new UsageError(`Cannot use ${JSON.stringify(name)} as there is nothing to name here`, { hint: 'caractrl config get-contexts' });
  }
}
