/**
 * Node key: the pair by which this agent proves that it is the one that joined.
 *
 * Owns     DATA_DIR/node.key, an Ed25519 private key in PEM, made when a server first asks for credentials; its owner's alone to read.
 * Never    sends it, or makes another where it cannot be read: the server would not know the machine any more.
 * Callers  node-credential.ts
 */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import type { Disk } from '../../base/disk.ts';
import { StartError } from '../../base/program.ts';
import { unusable } from '../identity.ts';

export interface NodeKeyPair {
  /** 32 bytes, base64url */
  readonly publicKey: string;
  /** @returns 64 bytes, base64url */
  sign(text: string): string;
}

/** Reads the key, or makes it. @throws {StartError} when the file cannot be used */
export async function loadNodeKey(dataDir: string, disk: Disk): Promise<NodeKeyPair> {
  const crypto = process.getBuiltinModule('node:crypto'); // 2 MB that an agent of a server without credentials need not carry
  const path = join(dataDir, 'node.key');
  let content: string | undefined;
  try {
    content = await disk.readText(path);
    if (content === undefined) {
      content = crypto.generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
      await disk.writeText(path, content);
    }
  } catch (error) {
    throw unusable(path, error);
  }
  const key = parse(content, path);
  const { x = '' } = crypto.createPublicKey(key).export({ format: 'jwk' });
  return { publicKey: x, sign: (text) => crypto.sign(null, Buffer.from(text), key).toString('base64url') };
}

function parse(content: string, path: string): KeyObject {
  try {
    const key = process.getBuiltinModule('node:crypto').createPrivateKey(content);
    if (key.asymmetricKeyType === 'ed25519') {
      return key;
    }
  } catch {
    // told below: what the parser says may repeat a part of it
  }
  throw new StartError(
    `Cannot use ${path} as it holds no Ed25519 key: restore it from a backup, or remove it and let this machine join anew with JOIN_TOKEN`,
  );
}
