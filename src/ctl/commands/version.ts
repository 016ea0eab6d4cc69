/** caractrl version: of this program and of the server. */
import { VERSION } from '../../base/version.ts';
import { defineCommand, flag } from '../command.ts';
import { renderDocument } from '../output/document.ts';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'Show the versions of caractrl and of the server',
  args: '',
  options: { client: flag('only that of caractrl; no server is asked') },
  examples: [
    { command: 'caractrl version', does: 'both' },
    { command: 'caractrl version --client', does: 'without a server' },
  ],
  run: async ({ io, output = 'table', connect, signal }, _, { client: isClientOnly }) => {
    const isDocument = output === 'json' || output === 'yaml';
    if (!isDocument) {
      io.stdout.write(`caractrl      ${VERSION}\n`);
    }
    if (isClientOnly) {
      io.stdout.write(isDocument ? await renderDocument(output, { client: { version: VERSION } }) : '');
      return 0;
    }
    const client = await connect();
    const server = await client.version(signal);
    io.stdout.write(
      isDocument
        ? await renderDocument(output, { client: { version: VERSION }, server: { ...server, url: client.serverUrl } })
        : `cara-server   ${server.version} at ${client.serverUrl}\n`,
    );
    return 0;
  },
});
